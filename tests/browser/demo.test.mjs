// `mailgrant demo` as a newcomer meets it: from the printed address to a passed test of both directions, then something goes wrong, then
// a sign-in at the sandbox. Nothing but the console and the sandbox is asked for.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { axe, launch, shot, sound, visit } from './browser.mjs';
import { judge } from './judge.mjs';
import { binary } from './rig.mjs';
import { arrive, chooseOption, fill, press } from './steps.mjs';

let browser;
let demo;

/** Starts the demo and reads what it prints. */
async function start() {
  const home = mkdtempSync(join(tmpdir(), 'mg-demo-'));
  const env = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC', TMPDIR: home };
  const child = spawn(binary, ['demo', '--listen', '127.0.0.1:0'], { env, cwd: home, stdio: ['ignore', 'pipe', 'pipe'] });
  const it = { home, child, log: '', neighbours: [] };
  it.ended = new Promise((resolve) => child.on('close', resolve));
  child.stderr.on('data', (text) => (it.log += text));
  await new Promise((resolve, reject) => {
    child.stdout.on('data', (text) => {
      it.log += text;
      if (/Password\s+\S+\n/.test(it.log)) resolve();
    });
    child.on('close', (code) => reject(new Error(`the demo ended with ${code}: ${it.log}`)));
  });
  const printed = (word) => new RegExp(`${word}\\s+(\\S+)`).exec(it.log)[1];
  return Object.assign(it, { origin: printed('Address'), email: printed('Email'), password: printed('Password') });
}

before(async () => {
  [browser, demo] = await Promise.all([launch(), start()]);
});
after(async () => {
  await browser?.close();
  demo?.child.kill('SIGTERM');
  await demo?.ended;
  assert.deepEqual(readdirSync(demo.home), [], 'nothing stays behind');
  rmSync(demo.home, { recursive: true });
});

/** A person who counts clicks. */
function person(page) {
  const it = {
    clicks: 0,
    async link(name) {
      it.clicks += 1;
      await page.getByRole('link', { name, exact: true }).first().click();
    },
    async button(name) {
      it.clicks += 1;
      await press(page, name);
    },
    async signIn() {
      await page.goto(demo.origin);
      await arrive(page, 'Sign in');
      await fill(page, 'Email', demo.email);
      await fill(page, 'Password', demo.password);
      await it.button('Sign in');
    },
    /** Runs a test of a mailbox to its verdict; says whether it passed. */
    async test(name, direction) {
      await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: /^Mailboxes/ }).click();
      await arrive(page, /Mailboxes/);
      await page.locator(`a[href="/mailboxes/${name}"]`).first().click();
      it.clicks += 2;
      await it.link(`Test ${direction}`);
      await it.button(`Test ${direction}`);
      await page.locator('#verdict').waitFor({ timeout: 60_000 });
      return (await page.locator('#verdict.bad').count()) === 0;
    },
  };
  return it;
}

test('from the printed address to a passed test of both directions in at most 12 clicks', async () => {
  await visit(browser, demo, {}, async (browsing) => {
    const { page } = browsing;
    const newcomer = person(page);
    const begun = Date.now();
    await newcomer.signIn();
    assert.ok(await newcomer.test('support', 'incoming'), 'incoming passes');
    await shot(page, 'demo-incoming');
    assert.ok(await newcomer.test('support', 'outgoing'), 'outgoing passes');
    assert.ok(newcomer.clicks <= 12, `${newcomer.clicks} clicks`);
    process.stdout.write(`# ${newcomer.clicks} clicks, ${Math.round((Date.now() - begun) / 1000)} s\n`);
  });
});

test('something goes wrong where it was chosen, every page says Demo, and all goes well again', async () => {
  await visit(browser, demo, {}, async (browsing) => {
    const { page } = browsing;
    const visitor = person(page);
    await visitor.signIn();
    for (const path of ['/', '/mailboxes', '/providers', '/tokens', '/me', '/demo']) {
      await page.goto(demo.origin + path);
      assert.ok(await page.getByRole('complementary', { name: 'Demo' }).isVisible(), path);
      await sound(page);
    }
    await axe(browsing);
    await page.getByRole('checkbox', { name: /^SMTP AUTH is off for the organisation/ }).check();
    await press(page, 'Save');
    await page.getByText('From now on: SMTP AUTH is off for the organisation.').waitFor();
    await shot(page, 'demo-faults');
    assert.equal(await visitor.test('support', 'outgoing'), false, 'sending fails');
    assert.match(await page.locator('#verdict').innerText(), /SMTP/);
    await page.goto(`${demo.origin}/demo`);
    await press(page, 'All goes well again');
    await page.getByText('Everything goes well again.').waitFor();
    assert.ok(await visitor.test('support', 'outgoing'), 'sending works again');
  });
});

test('the page of faults in every look, with and without script', async () => {
  for (const script of [true, false]) {
    await visit(browser, demo, { script }, async (browsing) => {
      const { page } = browsing;
      await person(page).signIn();
      await page.goto(`${demo.origin}/demo`);
      await judge(browsing);
      await page.getByRole('checkbox', { name: /^Servers are slow/ }).check();
      await press(page, 'Save');
      await arrive(page, 'Let something go wrong');
      assert.ok(await page.getByRole('checkbox', { name: /^Servers are slow/ }).isChecked());
      await judge(browsing);
      await press(page, 'All goes well again');
      await page.getByText('Everything goes well again.').waitFor();
    });
  }
});

test('what a token can do, in every look, with and without script', async () => {
  for (const script of [true, false]) {
    await visit(browser, demo, { script }, async (browsing) => {
      const { page } = browsing;
      await person(page).signIn();
      for (const [token, said] of [['support', /Should open it|Opens it/], ['orders', /Should open it|Opens it/], ['help', 'This token is opaque']]) {
        await page.goto(`${demo.origin}/tokens/${token}`);
        // The first access token of a sample comes with its first use.
        if (!(await page.getByText(said).count())) await press(page, 'Renew now');
        await page.getByText(said).first().waitFor();
        await judge(browsing);
        await shot(page, `demo-token-${token}`);
      }
    });
  }
});

test('a mailbox that waits for its sign-in gets it at the sandbox', async () => {
  await visit(browser, demo, {}, async (browsing) => {
    const { page } = browsing;
    const visitor = person(page);
    await visitor.signIn();
    await page.goto(`${demo.origin}/demo`);
    demo.neighbours.push(await page.locator('code').first().innerText());
    await page.goto(`${demo.origin}/tokens/sales`);
    await page.locator('form[action="/tokens/sales/authorize"] button[type="submit"]').first().click();
    await page.locator('#continue').click();
    await page.getByRole('heading', { name: 'Pick an account' }).waitFor();
    await sound(page).catch((error) => assert.match(error.message, /title of/));
    await page.getByRole('button', { name: /^sales@contoso\.test/ }).click();
    await page.getByRole('heading', { name: 'Permissions requested' }).waitFor();
    await press(page, 'Accept');
    await page.waitForURL(`${demo.origin}/**`);
    assert.ok(await visitor.test('sales', 'incoming'), 'incoming passes after the sign-in');
  });
});

/** The link that was made, as whoever gets it opens it: with a browser that nobody here is signed in to. */
const made = async (page) => new URL((await page.locator('#link').innerText()).trim()).pathname;

test('an admin without an account consents through a link, in every look, with and without script', async () => {
  for (const script of [true, false]) {
    await visit(browser, demo, { script }, async (browsing) => {
      const { page } = browsing;
      await person(page).signIn();
      await page.goto(`${demo.origin}/demo`);
      demo.neighbours.push(await page.locator('code').first().innerText());
      await page.goto(`${demo.origin}/providers/contoso/consent`);
      await judge(browsing);
      await fill(page, 'Note (optional)', 'We talked about it on Monday.');
      await press(page, 'Copy consent link');
      await arrive(page, 'Consent link');
      await judge(browsing);
      const path = await made(page);
      await visit(browser, demo, { script }, async (stranger) => {
        const { page } = stranger;
        await page.goto(demo.origin + path);
        await judge(stranger);
        await press(page, 'Go to Microsoft');
        await arrive(page, /^Consent as an admin/);
        await judge(stranger);
        await page.locator('#continue').click();
        await page.getByRole('radio', { name: /admin@contoso\.test/ }).check();
        await press(page, 'Accept');
        await arrive(page, 'Thank you');
        await judge(stranger);
        await page.goto(demo.origin + path);
        await arrive(page, 'This link was used');
        await judge(stranger);
      });
      await page.getByRole('link', { name: 'Back to Admin consent' }).click();
      await arrive(page, 'Admin consent');
      await page.getByText('Used made').first().waitFor();
      await judge(browsing);
      await press(page, 'Open it myself');
      await arrive(page, /^Consent as an admin/);
      await judge(browsing);
      await page.locator('#continue').click();
      await page.getByRole('radio', { name: /admin@contoso\.test/ }).check();
      await press(page, 'Cancel');
      await arrive(page, 'Admin consent');
      await page.getByText('They came back without consenting.').first().waitFor();
    });
  }
});

test('somebody without an account enters the client secret through a link, in every look, with and without script', async () => {
  for (const script of [true, false]) {
    await visit(browser, demo, { script }, async (browsing) => {
      const { page } = browsing;
      await person(page).signIn();
      await page.goto(`${demo.origin}/providers/contoso/request`);
      await judge(browsing);
      await press(page, 'Add a secret link');
      await page.locator('#link').waitFor();
      await judge(browsing);
      const path = await made(page);
      await visit(browser, demo, { script }, async (stranger) => {
        const { page } = stranger;
        await page.goto(demo.origin + path);
        await judge(stranger);
        stranger.expect(422);
        await press(page, 'Send the client secret');
        await page.getByText('There is a problem').waitFor();
        await judge(stranger);
        await page.locator('#client_secret').fill('sandbox~microsoft.secret-0123456789ab');
        await press(page, 'Send the client secret');
        await arrive(page, 'Thank you');
        await judge(stranger);
      });
    });
  }
});

test('with another card chosen and the first one back, what was typed there is shown again, with and without script', async () => {
  for (const script of [true, false]) {
    await visit(browser, demo, { script }, async (browsing) => {
      const { page } = browsing;
      await person(page).signIn();
      await page.goto(`${demo.origin}/providers/new?card=microsoft`);
      const card = (group, name) => page.getByRole('group', { name: group }).getByRole('radio', { name });
      assert.equal(await page.getByRole('button', { name: 'Use this template' }).isVisible(), !script);
      await page.getByLabel('Directory (tenant) ID').fill('litware.test');
      await page.getByLabel('Cloud').selectOption('usgov');
      await page.getByLabel('Client secret', { exact: true }).fill('canary-secret');
      await chooseOption(page, card('Google', /^Service account/), 'Google, service account');
      assert.equal(await page.locator('#cloud').count(), 0);
      await judge(browsing);
      await chooseOption(page, card(/^Microsoft/, /^User sign-in/), 'Microsoft 365, user sign-in');
      assert.equal(await page.getByLabel('Directory (tenant) ID').inputValue(), 'litware.test');
      assert.equal(await page.getByLabel('Cloud').inputValue(), 'usgov');
      assert.equal(await page.getByLabel('Client secret', { exact: true }).inputValue(), '');
    });
  }
});
