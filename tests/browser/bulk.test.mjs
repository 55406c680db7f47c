// A bulk test while it goes on: with script its numbers come by themselves, without script the page says how far it is and has a link to
// look again (`ux.md` 6.5 and 8.1); and the ticks of the list that lead to it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { axe, launch, shot, sound, visit } from './browser.mjs';
import { Console } from './console.mjs';
import { READ, SEND, control, register, rig, somebody } from './rig.mjs';
import { configuration, press, refreshUntilOver, signIn } from './steps.mjs';
import { Turnstile } from './turnstile.mjs';

let browser;
let console;
let turnstile;
before(async () => {
  [browser, console, turnstile] = await Promise.all([launch(), Console.start(), Turnstile.before(rig.ports.imap)]);
  await console.addAdmin();
  const clientId = await register(console.origin, 'contoso');
  const people = [];
  for (const name of ['support', 'sales', 'hr']) {
    const address = await somebody(name, 3);
    const { refresh_token: token } = await control('/grant', { client_id: clientId, account: address, scope: `openid email profile offline_access ${READ} ${SEND}` });
    people.push({ name, address, token, port: turnstile.port });
  }
  await console.apply(configuration({ provider: 'contoso', clientId, people }));
});
after(async () => {
  await browser?.close();
  await turnstile?.close();
  await console?.stop();
});

test('with script the numbers of a bulk test come by themselves, and it can be held and go on', async () => {
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await browsing.go('/mailboxes');
    await page.getByLabel(/^Select all 3/).check();
    await page.getByRole('button', { name: /^Test those/ }).click();
    await page.waitForURL(/\/tests\/new/);
    await page.getByText('3 mailboxes, less than a minute.').waitFor();
    await sound(page);
    await axe(browsing);
    const held = turnstile.hold(/EXAMINE/);
    await press(page, 'Start the tests');
    await page.waitForURL(/\/tests\/batches\//);
    await held;
    await page.evaluate(() => (globalThis.neverLeft = true));
    await page.getByRole('heading', { name: /^Running, 0 of 3 tests done/ }).waitFor();
    await page.locator('#batch-bar').getByText('Running').waitFor();
    await sound(page);
    await axe(browsing);
    await shot(page, 'bulk-running');
    await page.getByRole('button', { name: 'Stop' }).focus();
    turnstile.open();
    await page.getByRole('heading', { name: 'All 3 tests passed' }).waitFor();
    await page.waitForFunction(() => document.title.startsWith('Passed'));
    await page.getByRole('heading', { name: 'Support bundle' }).waitFor();
    assert.ok(await page.evaluate(() => globalThis.neverLeft), 'the page was not loaded again');
    await sound(page);
    await axe(browsing);
    await shot(page, 'bulk-done');
  });
});

test('what was said above a bulk test goes with what it was about, and one button takes an act back', async () => {
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await browsing.go('/tests/new?which=filter&q=sales');
    const held = turnstile.hold(/EXAMINE/);
    await press(page, 'Start the tests');
    await page.waitForURL(/\/tests\/batches\//);
    await held;
    // Somebody else pauses it first: this page says so, until it stands otherwise.
    const tab = await page.context().newPage();
    await tab.goto(page.url());
    await press(tab, 'Pause');
    await tab.getByText('Paused: what runs now ends').waitFor();
    assert.equal(await tab.locator('.flash').count(), 0, 'the page itself says how it stands');
    await press(tab, 'Go on');
    await tab.getByText('You can leave this page.').waitFor();
    await page.goto(page.url());
    const stale = page.locator('form[action$="/pause"]');
    await stale.evaluate((form) => { form.action = form.action.replace(/pause$/, 'go-on'); });
    await press(page, 'Pause');
    await page.getByText('It moved on meanwhile. Nothing was changed.').waitFor();
    await press(tab, 'Pause');
    await page.getByText('Paused: what runs now ends').waitFor();
    await page.getByText('It moved on meanwhile.').waitFor({ state: 'detached' });
    await press(tab, 'Stop');
    turnstile.open();
    await page.getByRole('heading', { name: /^Stopped/ }).waitFor();
    await tab.close();

    await browsing.go('/mailboxes');
    await page.getByLabel(/^Select all 3/).check();
    await page.getByLabel('Tag to add or remove').fill('nordic');
    await press(page, 'Add tag');
    await page.getByText('Tag nordic added to 3 mailboxes.').waitFor();
    await sound(page);
    await axe(browsing);
    await shot(page, 'bulk-undo');
    await press(page, 'Undo');
    await page.getByText('Undone: 3 mailboxes are as they were.').waitFor();
  });
});

test('without script and on a phone it says how far it is, and has a link to look again', async () => {
  await visit(browser, console, { width: 390, script: false }, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await browsing.go('/mailboxes');
    await page.getByLabel(/^Tick support/).check();
    await page.getByLabel(/^Tick hr/).check();
    await shot(page, 'bulk-ticked-phone');
    await page.getByRole('button', { name: /^Test those/ }).click();
    await page.getByText('2 mailboxes, less than a minute.').waitFor();
    const held = turnstile.hold(/EXAMINE/);
    await press(page, 'Start the tests');
    await held;
    await page.getByRole('heading', { name: /^Running, 0 of 2 tests done/ }).waitFor();
    await sound(page);
    await axe(browsing);
    await shot(page, 'bulk-running-phone');
    turnstile.open();
    await refreshUntilOver(page);
    await page.getByRole('heading', { name: 'All 2 tests passed' }).waitFor();
  });
});
