// The demo, and the people who go through a walkthrough at it: somebody in front of the console, admins of the provider, and strangers
// who come through links.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launch, shot, visit } from './browser.mjs';
import { judge } from './judge.mjs';
import { binary } from './rig.mjs';
import { arrive, fill, press } from './steps.mjs';

let browser;
/** The demo that everything here is done at. */
export let demo;

/** Starts the demo and the browser. */
export async function begin() {
  browser = await launch();
  const home = mkdtempSync(join(tmpdir(), 'mg-walk-'));
  const env = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC', TMPDIR: home };
  const child = spawn(binary, ['demo', '--listen', '127.0.0.1:0'], { env, cwd: home, stdio: ['ignore', 'pipe', 'pipe'] });
  demo = { home, child, log: '', neighbours: [] };
  demo.ended = new Promise((resolve) => child.on('close', resolve));
  child.stderr.on('data', (text) => (demo.log += text));
  await new Promise((resolve, reject) => {
    child.stdout.on('data', (text) => {
      demo.log += text;
      if (/Password\s+\S+\n/.test(demo.log)) resolve();
    });
    child.on('close', (code) => reject(new Error(`the demo ended with ${code}: ${demo.log}`)));
  });
  const printed = (word) => new RegExp(`${word}\\s+(\\S+)`).exec(demo.log)[1];
  Object.assign(demo, { origin: printed('Address'), email: printed('Email'), password: printed('Password') });
}

/** Ends them. */
export async function end() {
  await browser?.close();
  demo?.child.kill('SIGTERM');
  await demo?.ended;
  rmSync(demo.home, { recursive: true, force: true });
}

const unescaped = (text) => text.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code)).replace(/&quot;/g, '"').replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&amp;/g, '&');

/** The admin of the provider does something in its own console; what came of it. */
export async function portal(fields) {
  const response = await fetch(`${demo.sandbox}/sandbox/portal`, { method: 'POST', body: new URLSearchParams(fields) });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return unescaped(/<pre id="made">([^]*?)<\/pre>/.exec(text)?.[1] ?? '');
}

/** A person in front of the console, going through one walkthrough. */
export class Walker {
  constructor(browsing) {
    this.browsing = browsing;
    this.page = browsing.page;
  }

  async signIn() {
    const { page } = this;
    await page.goto(demo.origin);
    await fill(page, 'Email', demo.email);
    await fill(page, 'Password', demo.password);
    await press(page, 'Sign in');
    if (!demo.sandbox) {
      await page.goto(`${demo.origin}/demo`);
      demo.sandbox = await page.locator('code').first().innerText();
      demo.neighbours.push(demo.sandbox);
      demo.mail = {};
      for (const [house, mailbox] of Object.entries({ microsoft: 'orders-app', google: 'help', open: 'post' })) {
        await page.goto(`${demo.origin}/mailboxes/${mailbox}/edit`);
        const value = (id) => page.locator(`#${id}`).inputValue();
        demo.mail[house] = Object.fromEntries(await Promise.all(['incoming_host', 'incoming_port', 'incoming_security', 'outgoing_host', 'outgoing_port', 'outgoing_security'].map(async (id) => [id, await value(id)])));
      }
    }
  }

  /** Starts a walkthrough from the list. */
  async start(title, fields) {
    const { page } = this;
    await page.goto(`${demo.origin}/walkthroughs`);
    await page.locator('.choices a').filter({ has: page.locator(`b:text-is("${title}")`) }).click();
    for (const [label, value] of Object.entries(fields)) await fill(page, label, value);
    await press(page, 'Start');
    await page.getByText('Started.').waitFor();
    this.walk = new URL(page.url()).pathname;
  }

  async open(number) {
    await this.page.goto(`${demo.origin}${this.walk}?step=${number}`);
    await this.page.locator('#open').waitFor();
  }

  /** The state of a step, in its words. */
  async state(number) {
    await this.page.goto(demo.origin + this.walk);
    const row = this.page.locator('.task').filter({ has: this.page.locator(`b:text-matches("^${number}\\\\. ")`) });
    return row.locator('.st').innerText();
  }

  async is(number, words) {
    assert.equal(await this.state(number), words, `step ${number}: ${await this.page.locator('.tasks').allInnerTexts()}`);
  }

  /** *Check now*, with what is to come of it. */
  async check(number, words, flash) {
    await this.open(number);
    await press(this.page, 'Check now');
    await this.page.locator('.flash').waitFor({ timeout: 60_000 });
    const said = await this.page.locator('.flash').innerText();
    if (flash) assert.match(said, flash);
    assert.equal(await this.page.locator('#open .st').innerText(), words, `step ${number}: ${said} ${await this.page.locator('#open').innerText()}`);
  }

  async confirm(number) {
    await this.open(number);
    await press(this.page, "I've done this");
    await this.page.getByText(`step ${number} is done, as you say`).waitFor();
    await this.is(number, 'Confirmed');
  }

  /** Sends a step; the path of the link, if one goes along. */
  async send(number, button, to) {
    const { page } = this;
    await this.open(number);
    await page.locator('#to').fill(to);
    await press(page, button);
    await arrive(page, 'Words to send');
    const link = page.locator('#link');
    const path = (await link.count()) ? new URL((await link.innerText()).trim()).pathname : '';
    await page.getByRole('link', { name: 'Back to the walkthrough' }).click();
    assert.equal(await page.locator('#open .st').innerText(), 'Waiting for someone else');
    assert.match(await page.locator('#open').innerText(), new RegExp(to));
    return path;
  }

  /** Opens the form of a new provider from a step, fills it in and comes back. */
  async provider(number, fields) {
    const { page } = this;
    await this.open(number);
    await page.getByRole('link', { name: 'Add the provider' }).click();
    await arrive(page, 'Add provider');
    for (const summary of await page.locator('form details > summary').all()) await summary.click();
    for (const [id, value] of Object.entries(fields)) {
      const field = page.locator(`#${id}`);
      if ((await field.getAttribute('type')) === 'checkbox') await field.setChecked(value);
      else await field.fill(value);
    }
    await press(page, 'Save without checking');
    await this.back();
  }

  async back() {
    await this.page.waitForURL(`**${this.walk}**`);
  }

  /** Adds the token of a step, for whoever has to sign in. */
  async token(number) {
    const { page } = this;
    await this.open(number);
    await page.getByRole('link', { name: 'Add the token' }).click();
    await arrive(page, 'Add token');
    await page.locator('button[name="act"][value="save"]').last().click();
    await this.back();
  }

  /** Adds the mailbox of a step. */
  async mailbox(number, house, token) {
    const { page } = this;
    await this.open(number);
    await page.getByRole('link', { name: 'Add the mailbox' }).click();
    const byHand = page.getByRole('link', { name: 'Set up by hand' });
    await page.locator('#incoming_host').or(byHand).first().waitFor();
    if (await byHand.count()) await byHand.click();
    await page.locator('#incoming_host').waitFor();
    await page.locator('input[name="incoming"][value="imap"]').check();
    await page.locator('input[name="outgoing"][value="smtp"]').check();
    for (const [id, value] of Object.entries(demo.mail[house])) {
      if (id.endsWith('security')) await page.locator(`#${id}`).selectOption(value);
      else await page.locator(`#${id}`).fill(value);
    }
    await page.locator('input[name="auth"][value="oauth2"]').check();
    await page.locator('#token').selectOption(token);
    await press(page, 'Save');
    await this.back();
  }

  async turnOn(number) {
    await this.open(number);
    await press(this.page, 'Turn it on');
    await this.page.getByText('is turned on.').waitFor();
  }

  /** Every step is over, and the list says so. */
  async finished(of) {
    const { page } = this;
    await page.goto(demo.origin + this.walk);
    assert.match(await page.locator('.head p').innerText(), new RegExp(`^${of} of ${of} steps done`), await page.locator('.tasks').allInnerTexts().then(String));
    await page.goto(`${demo.origin}/walkthroughs`);
    const finished = page.locator('section', { has: page.getByRole('heading', { name: 'Finished' }) });
    await finished.locator(`a[href="${this.walk}"]`).waitFor();
  }

  /** What else can be seen of it, in every look. */
  async judged(name) {
    await this.page.goto(demo.origin + this.walk);
    await judge(this.browsing);
    await shot(this.page, `walkthrough-${name}`);
  }
}

/** Somebody without an account opens a link. */
const stranger = (path, work) => visit(browser, demo, {}, async ({ page }) => {
  await page.goto(demo.origin + path);
  await work(page);
});

export const entersSecret = (path, secret) => stranger(path, async (page) => {
  await page.locator('#client_secret').fill(secret);
  await press(page, 'Send the client secret');
  await arrive(page, 'Thank you');
});

export const consents = (path) => stranger(path, async (page) => {
  await press(page, 'Go to Microsoft');
  await page.locator('#continue').click();
  await page.getByRole('radio', { name: /admin@contoso\.test/ }).check();
  await press(page, 'Accept');
  await arrive(page, 'Thank you');
});

export const signsIn = (path, account) => stranger(path, async (page) => {
  await press(page, `Sign in as ${account}`);
  await page.locator('#continue').click();
  await page.getByRole('button', { name: new RegExp(account.replace('.', '\\.')) }).click();
  // Where an admin has consented for everybody nobody is asked.
  const accept = page.getByRole('button', { name: 'Accept', exact: true });
  await Promise.race([accept.waitFor(), page.waitForURL(/\/l\/done\//)]);
  if (await accept.count()) await accept.click();
  await page.waitForURL(/\/l\/done\//);
});

/** A walkthrough by somebody who is signed in at the console. */
export const walking = (work) => visit(browser, demo, {}, async (browsing) => {
  const walker = new Walker(browsing);
  await walker.signIn();
  await work(walker);
});
