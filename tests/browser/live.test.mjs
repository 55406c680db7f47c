// While a test runs: with script its steps come by themselves, without script the page says how far it is and has a link to look
// again (`ux.md` 8.1). A turnstile before Dovecot holds the test where it is looked at.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { axe, launch, shot, sound, visit } from './browser.mjs';
import { Console } from './console.mjs';
import { READ, SEND, control, register, rig, somebody } from './rig.mjs';
import { arrive, configuration, press, refreshUntilOver, signIn } from './steps.mjs';
import { Turnstile } from './turnstile.mjs';

let browser;
let console;
let turnstile;
let address;
before(async () => {
  [browser, console, turnstile] = await Promise.all([launch(), Console.start(), Turnstile.before(rig.ports.imap)]);
  await console.addAdmin();
  const clientId = await register(console.origin, 'contoso');
  address = await somebody('support', 3);
  const { refresh_token: token } = await control('/grant', { client_id: clientId, account: address, scope: `openid email profile offline_access ${READ} ${SEND}` });
  await console.apply(configuration({ provider: 'contoso', clientId, people: [{ name: 'support', address, token, port: turnstile.port }] }));
});
after(async () => {
  await browser?.close();
  await turnstile?.close();
  await console?.stop();
});

const step = (page, title) => page.locator('#step-list > li').filter({ has: page.getByRole('heading', { name: new RegExp(`^${title}`) }) });

test('with script the steps of a running test come by themselves, and focus stays', async () => {
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await browsing.go('/mailboxes/support/test/incoming');
    const held = turnstile.hold(/EXAMINE/);
    await press(page, 'Test incoming');
    await page.waitForURL(/\/tests\//);
    await held;
    await page.evaluate(() => (globalThis.neverLeft = true));
    await page.getByRole('heading', { name: /^Running, step \d+ of \d+/ }).waitFor();
    await step(page, 'Sign in').getByText('Passed').waitFor({ state: 'attached' });
    assert.match(await step(page, 'Open the inbox').innerText(), /Running/i);
    assert.match(await page.getByRole('status').allInnerTexts().then((texts) => texts.join()), /Step \d+ of \d+: open the inbox/);
    await sound(page);
    await axe(browsing);
    await shot(page, 'live-running');
    await page.getByRole('button', { name: 'Stop' }).focus();

    turnstile.open();
    await page.getByRole('heading', { name: `${address} can be read` }).waitFor();
    await page.waitForFunction(() => document.title.startsWith('Passed'));
    assert.ok(await page.evaluate(() => globalThis.neverLeft), 'the page was not loaded again');
    await sound(page);
    await axe(browsing);
  });
});

test('a running test can be stopped', async () => {
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await browsing.go('/mailboxes/support/test/incoming');
    const held = turnstile.hold(/EXAMINE/);
    await press(page, 'Test incoming');
    await held;
    await press(page, 'Stop');
    await page.getByRole('heading', { name: /stopped/i }).first().waitFor();
    turnstile.open();
    await sound(page);
    await axe(browsing);
  });
});

test('without script the page says how far the test is, and has a link to look again', async () => {
  await visit(browser, console, { width: 390, script: false }, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await browsing.go('/mailboxes/support/test/incoming');
    const held = turnstile.hold(/EXAMINE/);
    await press(page, 'Test incoming');
    await held;
    await arrive(page, `Test incoming: ${address}`);
    await page.getByRole('heading', { name: /^Running, step \d+ of \d+/ }).waitFor();
    await sound(page);
    await axe(browsing);
    await shot(page, 'live-running-phone');
    turnstile.open();
    await refreshUntilOver(page);
    await page.getByRole('heading', { name: `${address} can be read` }).waitFor();
  });
});
