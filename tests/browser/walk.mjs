// Ways through the console that lead past every page: pages.test.mjs judges each one, pictures.mjs takes its picture.
import assert from 'node:assert/strict';
import { LOOKS, look, visit } from './browser.mjs';
import { ADMIN, Console } from './console.mjs';
import { arrive, fill, press, signIn, signInHere } from './steps.mjs';

/** Opens a place of `places.mjs`. */
export async function enter(browsing, place) {
  const { page } = browsing;
  await look(page, LOOKS[0]);
  if (place.status && !place.open) browsing.expect(place.status);
  await page.goto(place.path);
  if (!place.open) return;
  if (place.status) browsing.expect(place.status);
  // What changes in place is no new page; some of it only where there is script.
  if (place.inPlace === 'always' || (place.inPlace && browsing.script)) return place.open(page);
  // Each of them leads to one page.
  await Promise.all([page.waitForEvent('domcontentloaded', { timeout: 20_000 }), place.open(page)]);
}

/** Walks over all `places` with `workers` browsers side by side; `show(browsing, place)` looks at each. One that fails does not keep the
    others from being looked at. */
export async function everywhere(browser, console, places, { script, workers = 2 }, show) {
  const faults = [];
  const admin = places.filter((place) => !place.as);
  const walk = (options, queue) =>
    visit(browser, console, { script }, async (browsing) => {
      await signIn(browsing, options);
      for (let place = queue.shift(); place; place = queue.shift()) {
        try {
          await enter(browsing, place);
          await show(browsing, place);
        } catch (error) {
          faults.push(`${place.name}: ${error.message}`);
        } finally {
          place.close?.();
        }
      }
    });
  await Promise.all(Array.from({ length: workers }, () => walk(undefined, admin)));
  for (const who of new Set(places.map((place) => place.as).filter(Boolean))) await walk(who, places.filter((place) => place.as === who));
  assert.deepEqual(faults, []);
}

/** Setup, page by page, signing in, and every list with nothing in it. */
export async function fromNothing(browser, { script }, show) {
  const console = await Console.start();
  try {
    await visit(browser, console, { script }, async (browsing) => {
      const { page } = browsing;
      const shown = (name) => show(browsing, { name });
      await page.goto('/');
      await shown('setup-code');
      await fill(page, 'Setup code', console.setupCode());
      await press(page, 'Continue');
      await arrive(page, 'First admin');
      browsing.expect(422);
      await press(page, 'Continue');
      await page.getByText('There is a problem').waitFor();
      await shown('setup-admin-refused');
      await fill(page, 'Your name', ADMIN.name);
      await fill(page, 'Email', ADMIN.email);
      await fill(page, 'Password', ADMIN.password);
      await press(page, 'Continue');
      await arrive(page, 'Address');
      await shown('setup-address');
      await press(page, 'Continue');
      await arrive(page, 'Keys');
      await shown('setup-keys');
      await page.getByRole('link', { name: 'Continue' }).click();
      await arrive(page, /connect the first mailbox/);
      await shown('setup-done');
      for (const path of ['/', '/mailboxes', '/tests', '/providers', '/tokens', '/tokens/new', '/walkthroughs']) {
        await page.goto(path);
        await shown(`empty-${path.slice(1).replace('/', '-') || 'overview'}`);
      }
      await page.goto('/me');
      await press(page, 'Sign out');
      await arrive(page, 'Sign in');
      browsing.expect(422);
      await signInHere(browsing, { email: ADMIN.email, password: 'not the password' });
      await page.getByText('There is a problem').waitFor();
      await shown('login-refused');
    });
  } finally {
    await console.stop();
  }
}
