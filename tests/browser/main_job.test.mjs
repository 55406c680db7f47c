// The main job as a person does it, from the setup code to a mailbox that is proved to work, against a real OpenID provider,
// Dovecot and Postfix: with script on a desk, and without script on a phone.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { axe, launch, shot, sound, visit } from './browser.mjs';
import { ADMIN, Console } from './console.mjs';
import { READ, SECRET, SEND, register, rig, somebody } from './rig.mjs';
import { allow, arrive, chooseOption, fill, pick, press, refreshUntilOver } from './steps.mjs';
import { Turnstile } from './turnstile.mjs';

const TLS_HELLO = /^\x16\x03/;

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

for (const [name, options] of [
  ['with script on a desk', { width: 1280, script: true }],
  ['without script on a phone', { width: 390, script: false }],
]) {
  test(`from the setup code to a mailbox that reads and sends, ${name}`, async () => {
    const console = await Console.start();
    const [incoming, outgoing] = await Promise.all([Turnstile.before(rig.ports.imaps), Turnstile.before(rig.ports.submissions)]);
    const clientId = await register(console.origin, 'contoso');
    const address = await somebody('support', 3);
    try {
      await visit(browser, console, options, (it) => mainJob(it, { clientId, address, incoming, outgoing }));
    } finally {
      await Promise.all([incoming.close(), outgoing.close(), console.stop()]);
    }
  });
}

/** Starts a test and waits until it passed. With script it is held where it begins to encrypt, and its steps come into the page that
    is open; without, the page is asked for again. */
async function runTest(visit, { door, button, passed }) {
  const { page } = visit;
  if (!visit.script) {
    await press(page, button);
    await page.waitForURL(/\/tests\//);
    await refreshUntilOver(page);
  } else {
    const held = door.hold(TLS_HELLO);
    await press(page, button);
    await page.waitForURL(/\/tests\//);
    await held;
    await page.getByRole('heading', { name: /^Running, step \d+ of \d+/ }).waitFor();
    await page.locator('.step', { hasText: 'Encrypt' }).filter({ hasText: /Running/i }).waitFor();
    await page.evaluate(() => (globalThis.neverLeft = true));
    door.open();
  }
  await page.getByRole('heading', { name: passed }).waitFor({ timeout: 150_000 });
  if (visit.script) assert.ok(await page.evaluate(() => globalThis.neverLeft), 'the page was not loaded again');
}

/** Every page on the way is looked at as well. */
async function mainJob(visit, { clientId, address, incoming, outgoing }) {
  const { page, console } = visit;
  let pages = 0;
  const look = async (heading) => {
    await arrive(page, heading);
    await sound(page);
    await axe(visit);
    await shot(page, `main-${page.viewportSize().width}-${String((pages += 1)).padStart(2, '0')}`);
  };

  await visit.go('/');
  await look("Prove it's yours");
  await fill(page, 'Setup code', console.setupCode());
  await press(page, 'Continue');

  await look('First admin');
  await fill(page, 'Your name', ADMIN.name);
  await fill(page, 'Email', ADMIN.email);
  await fill(page, 'Password', ADMIN.password);
  await press(page, 'Continue');

  await look('Address');
  await press(page, 'Continue');

  await look('Keys');
  await page.getByRole('link', { name: 'Continue' }).click();
  await look("Let's connect the first mailbox");

  // The provider, by its discovery document.
  await visit.go('/providers');
  await look('Providers');
  await page.getByRole('link', { name: 'Add provider' }).click();
  await look('Add provider');
  await chooseOption(page, page.getByLabel(/^Other OAuth provider/), 'Other OAuth provider');
  await fill(page, 'Name', 'contoso');
  await fill(page, 'Issuer or discovery address', rig.issuer);
  await press(page, 'Read it');
  await page.getByText('Look it over, then save.').waitFor();
  await look('Add provider');
  assert.equal(await page.getByLabel('Token address').inputValue(), `${rig.issuer}/token`);
  await page.getByLabel('How the client proves itself').selectOption('secret_basic');
  await fill(page, 'Client ID', clientId);
  await fill(page, 'Client secret', SECRET);
  await fill(page, 'Permissions (scopes)', `offline_access,\n${READ}, ${SEND}`);
  await press(page, 'Save and check');
  await look('contoso');
  await page.getByRole('heading', { name: 'Last check' }).waitFor();

  // The token.
  await page.getByRole('link', { name: 'Add token' }).first().click();
  await look('Add token');
  await fill(page, 'Name (optional)', 'support');
  await fill(page, 'Account that must sign in', address);
  await press(page, 'Save and get authorization token');
  await look(`Sign in as ${address}`);
  await page.getByRole('link', { name: /^Continue to/ }).click();
  await pick(page, address);
  await allow(page);
  await look(address);
  await page.getByText(`${address} is signed in`).first().waitFor();
  assert.equal(visit.path(), '/tokens/support');
  assert.equal(new URL(page.url()).search, '', 'code and state are gone from the address');

  // The mailbox.
  await visit.go('/mailboxes');
  await look('Mailboxes');
  await page.getByRole('link', { name: 'Add mailbox' }).first().click();
  await look('Add mailbox');
  await fill(page, 'Email address', address);
  await press(page, 'Continue');
  await look('Add mailbox');
  await fill(page, 'Name', 'support');
  await page.locator('#incoming_host').fill(rig.host);
  await page.locator('#incoming_port').fill(String(incoming.port));
  await page.locator('#outgoing_host').fill(rig.host);
  await page.locator('#outgoing_port').fill(String(outgoing.port));
  await page.locator('#outgoing_security').selectOption('tls');
  await page.locator('#token').selectOption('support');

  // The tests.
  await runTest(visit, { door: incoming, button: 'Save and test', passed: `${address} can be read` });
  await look(`Test incoming: ${address}`);
  assert.match(await page.locator('#verdict').innerText(), /Unread\s+3 of 3/i);

  await page.getByRole('link', { name: 'Test outgoing' }).click();
  await look(`Test outgoing: ${address}`);
  await runTest(visit, { door: outgoing, button: 'Test outgoing', passed: `${address} can send` });
  await look(`Test outgoing: ${address}`);
  const arrived = page.locator('.step', { hasText: 'Arrived' });
  assert.match(await arrived.innerText(), /Passed/i);

  await visit.go('/');
  await look('Everything works');
}
