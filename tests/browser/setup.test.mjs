// First run and signing in, where they go wrong: a stranger gets no further than the setup code, mistakes are named where they are.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { axe, launch, shot, sound, visit } from './browser.mjs';
import { ADMIN, Console } from './console.mjs';
import { arrive, fill, press, refused, signInHere } from './steps.mjs';

let browser;
let console;
before(async () => {
  [browser, console] = await Promise.all([launch(), Console.start()]);
});
after(async () => {
  await browser?.close();
  await console?.stop();
});

for (const script of [true, false]) {
  test(`setup refuses a wrong code and a poor password and keeps what was typed, ${script ? 'with' : 'without'} script`, async () => {
    await visit(browser, console, { script, width: script ? 1280 : 390, scheme: script ? 'light' : 'dark' }, async (browsing) => {
      const { page } = browsing;
      await browsing.go('/setup/admin');
      await arrive(page, "Prove it's yours");
      browsing.expect(422);
      await fill(page, 'Setup code', 'AAAA-AAAA-AAAA');
      await press(page, 'Continue');
      await refused(browsing, 'Prove it', [/^Setup code doesn't match/]);
      await fill(page, 'Setup code', console.setupCode());
      await press(page, 'Continue');

      await arrive(page, 'First admin');
      browsing.expect(422);
      await fill(page, 'Your name', ADMIN.name);
      await fill(page, 'Email', 'aino at work');
      await fill(page, 'Password', 'short');
      await press(page, 'Continue');
      await refused(browsing, 'First admin', [/^Enter an email address like/, /^Password must be 12 characters or more/]);
      assert.equal(await page.getByLabel('Your name').inputValue(), ADMIN.name);
      await shot(page, `setup-refused-${script}`);
    });
  });
}

test('the sign-in page says neither which of both is wrong nor lets anybody guess on, and setup is over', async () => {
  await console.addAdmin();
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    browsing.expect(404);
    await browsing.go('/setup');
    await sound(page);
    await axe(browsing);
    browsing.expect(422);
    await browsing.go('/login');
    await signInHere(browsing, { email: ADMIN.email, password: 'not the password' });
    await refused(browsing, 'Sign in', [/^Email or password is wrong/]);
    await signInHere(browsing);
    await press(page, 'Sign out');
    await arrive(page, 'Sign in');
    await browsing.go('/me');
    await arrive(page, 'Sign in');
  });
});
