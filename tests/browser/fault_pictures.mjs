// Pictures of what goes wrong in the demo and what the page of the test says about it: ten faults, in two looks. Not a test.
// usage, with a built binary: MAILGRANT_BIN=target/debug/mailgrant node tests/browser/fault_pictures.mjs FOLDER
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { LOOKS, launch, look, shot, visit } from './browser.mjs';
import { binary } from './rig.mjs';
import { fill, press } from './steps.mjs';

const [folder] = process.argv.slice(2);
if (!folder) {
  process.stderr.write('usage: node tests/browser/fault_pictures.mjs FOLDER\n');
  process.exit(2);
}
process.env.MAILGRANT_SHOTS = resolve(folder);

/** What is ticked in the demo, and the side of the mailbox that shows it. */
const FAULTS = [
  ['Client secret has expired', 'incoming'],
  ['Client secret is wrong', 'incoming'],
  ['Mailbox is closed for this protocol', 'incoming'],
  ['SMTP AUTH is off for the mailbox', 'outgoing'],
  ['SMTP AUTH is off for the organisation', 'outgoing'],
  ['Not allowed to send as this address', 'outgoing'],
  ['Too many requests', 'incoming'],
  ['Certificate is for another server', 'incoming'],
  ['Servers stay silent', 'incoming'],
  ['Permission to send is missing', 'outgoing'],
  // The last one: nothing works after it until somebody signs in.
  ['Sign-in was revoked', 'incoming'],
];

const home = mkdtempSync(join(tmpdir(), 'mg-pictures-'));
const child = spawn(binary, ['demo', '--listen', '127.0.0.1:0'], {
  env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC', TMPDIR: home },
  cwd: home,
  stdio: ['ignore', 'pipe', 'inherit'],
});
const ended = new Promise((done) => child.on('close', done));
const printed = await new Promise((done) => {
  let log = '';
  child.stdout.on('data', (text) => {
    log += text;
    if (/Password\s+\S+\n/.test(log)) done((word) => new RegExp(`${word}\\s+(\\S+)`).exec(log)[1]);
  });
});
const browser = await launch();
try {
  await visit(browser, { origin: printed('Address'), log: '' }, {}, async ({ page }) => {
    await page.goto('/login');
    await fill(page, 'Email', printed('Email'));
    await fill(page, 'Password', printed('Password'));
    await press(page, 'Sign in');
    for (const [fault, direction] of FAULTS) {
      await page.goto('/demo');
      if (await page.getByRole('button', { name: 'All goes well again' }).count()) await press(page, 'All goes well again');
      await page.goto('/demo');
      await page.getByRole('checkbox', { name: new RegExp(`^${fault}`) }).check();
      await press(page, 'Save');
      // What goes wrong when a token is renewed shows there first.
      await page.goto('/tokens/support');
      if (await page.getByRole('button', { name: 'Renew now' }).count()) await press(page, 'Renew now');
      await page.goto(`/mailboxes/support/test/${direction}`);
      await press(page, `Test ${direction}`);
      await page.locator('#verdict').waitFor({ timeout: 90_000 });
      const name = fault.toLowerCase().replaceAll(/[^a-z]+/g, '-');
      process.stdout.write(`${fault}: ${await page.locator('#verdict h2').first().innerText()}; ${await page.locator('#verdict .fixes > li').first().innerText().catch(() => '')}\n`.replaceAll('\n', ' ').slice(0, 400) + '\n');
      for (const variant of LOOKS.filter(({ width, scheme }) => (width === 1280) === (scheme === 'light'))) {
        await look(page, variant);
        await shot(page, `fault-${name}-${variant.width}-${variant.scheme}`);
      }
      await look(page, LOOKS[0]);
    }
  });
} finally {
  await browser.close();
  child.kill('SIGTERM');
  await ended;
  rmSync(home, { recursive: true, force: true });
}
