// Headless Chromium, watched: a violation of the content security policy, an error in a script, a failed request, an unexpected
// status or a request to anywhere but this console and the rig's provider fails the test.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { markRun, rig, rigModules } from './rig.mjs';

const { chromium } = rigModules('playwright-core');
const axeSource = readFileSync(rigModules.resolve('axe-core/axe.min.js'), 'utf8');
const AXE_TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa', 'best-practice'];

/** The rules of axe whose answer depends on colours. */
export const COLOURS = ['color-contrast', 'link-in-text-block'];

/** The four looks of a page (`ux.md` 10). */
export const LOOKS = [
  { width: 1280, height: 900, scheme: 'light' },
  { width: 1280, height: 900, scheme: 'dark' },
  { width: 390, height: 844, scheme: 'light' },
  { width: 390, height: 844, scheme: 'dark' },
];

export async function launch() {
  const browser = await chromium.launch({
    executablePath: process.env.MAILGRANT_CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  markRun();
  return browser;
}

/** A browser with an empty profile in front of one console. Close it: that is when its faults are counted. */
export class Visit {
  faults = [];
  #expected = [];
  #twin;
  #twinned;

  static async open(browser, console, { width = 1280, height = width < 800 ? 844 : 900, scheme = 'light', script = true } = {}) {
    const it = new Visit();
    it.console = console;
    it.script = script;
    it.context = await browser.newContext({
      baseURL: console.origin,
      viewport: { width, height },
      colorScheme: scheme,
      javaScriptEnabled: script,
      ignoreHTTPSErrors: true,
      locale: 'en-GB',
    });
    it.context.setDefaultTimeout(30_000);
    it.#watch();
    if (script) {
      await it.context.addInitScript(() => {
        document.addEventListener('securitypolicyviolation', (event) => console.error(`Content Security Policy: ${event.violatedDirective} ${event.blockedURI}`));
      });
    }
    it.page = await it.context.newPage();
    return it;
  }

  #watch() {
    const own = () => [this.console.origin, rig.issuer, ...(this.console.neighbours ?? [])];
    const fault = (text) => this.faults.push(text);
    this.context.on('weberror', (error) => fault(`error in a script: ${error.error().stack}`));
    this.context.on('console', (message) => {
      // What the server answered is judged by its status, below.
      if (!['error', 'warning'].includes(message.type()) || message.text().startsWith('Failed to load resource')) return;
      fault(`${message.type()} in ${message.page()?.url()}: ${message.text()}`);
    });
    this.context.on('request', (request) => {
      const { origin } = new URL(request.url());
      if (!own().includes(origin)) fault(`request to ${request.url()}`);
    });
    this.context.on('requestfailed', (request) => {
      const { errorText } = request.failure();
      // A page that is left takes its stream and its questions with it.
      if (errorText !== 'net::ERR_ABORTED') fault(`${request.method()} ${request.url()}: ${errorText}`);
    });
    this.context.on('response', (response) => {
      if (response.status() < 400 || !response.url().startsWith(this.console.origin)) return;
      const at = this.#expected.indexOf(response.status());
      if (at >= 0) this.#expected.splice(at, 1);
      else fault(`${response.status()} for ${response.request().method()} ${response.url()}`);
    });
  }

  /** Announces answers with these statuses, which would count as faults. */
  expect(...statuses) {
    this.#expected.push(...statuses);
  }

  /** Opens a page of the console. */
  async go(path) {
    return this.page.goto(path);
  }

  /** The path that is open. */
  path() {
    return new URL(this.page.url()).pathname;
  }

  /** axe is script itself and cannot run where script is off: the same page, as it stands, in a browser that has script but gets none
      from the console. */
  async twin() {
    this.#twin ??= await this.context.browser().newContext({ ignoreHTTPSErrors: true }).then((context) => context.newPage());
    const body = (await this.page.content()).replace(/<script\b[^>]*><\/script>|<\/?noscript>/g, '');
    const url = this.page.url();
    const { colorScheme } = await this.page.evaluate(() => ({ colorScheme: matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light' }));
    await this.#twin.setViewportSize(this.page.viewportSize());
    await this.#twin.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    if (this.#twinned === url + body) return this.#twin;
    this.#twinned = url + body;
    await this.#twin.unrouteAll();
    await this.#twin.route(url.replace(/#.*/, ''), (route) => route.fulfill({ contentType: 'text/html; charset=utf-8', body }));
    await this.#twin.goto(url);
    return this.#twin;
  }

  async close() {
    await this.#twin?.context().close();
    await this.context.close();
    assert.deepEqual(this.faults, [], `faults seen by the browser\n${this.console.log.slice(-3000)}`);
    assert.deepEqual(this.#expected, [], 'statuses that were announced did not come');
  }
}

/** Runs `work` with a watched browser and closes it, whatever happens. */
export async function visit(browser, console, options, work) {
  const it = await Visit.open(browser, console, options);
  try {
    await work(it);
  } catch (error) {
    await shot(it.page, `failed-${Date.now()}`).catch(() => {});
    const heading = await it.page.locator('h1').allInnerTexts().catch(() => []);
    error.message += `\nat ${it.page.url()} (${heading.join()})\nfaults: ${it.faults.join('\n') || 'none'}`;
    await it.context.close();
    throw error;
  }
  await it.close();
}

/** Changes how the open page is looked at, without loading it again. */
export async function look(page, { width, height, scheme }) {
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
}

/** What axe finds wrong with the page: nothing, or the test fails. `rules`: only these. */
export async function axe(visit, rules) {
  const page = visit.script ? visit.page : await visit.twin();
  if (!(await page.evaluate(() => typeof globalThis.axe === 'object'))) await page.evaluate(axeSource);
  const runOnly = rules ? { type: 'rule', values: rules } : { type: 'tag', values: AXE_TAGS };
  const violations = await page.evaluate(async (runOnly) => {
    const result = await globalThis.axe.run(document, { runOnly, resultTypes: ['violations'] });
    return result.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => `${node.target} ${node.html.slice(0, 160)} ${node.any[0]?.message ?? ''}`).join(' | ')}`);
  }, runOnly);
  assert.deepEqual(violations, [], `axe at ${page.url()}`);
}

/** Everything a page owes its reader whatever it is about: one heading, its title, no scrolling sideways. */
export async function sound(page) {
  const found = await page.evaluate(() => ({
    headings: [...document.querySelectorAll('h1')].map((h1) => h1.innerText.trim()),
    title: document.title,
    scroll: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    lang: document.documentElement.lang,
    wide: [...document.querySelectorAll('body *')]
      .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
      .map((element) => element.outerHTML.slice(0, 120)),
  }));
  assert.equal(found.headings.length, 1, `one h1 at ${page.url()}: ${found.headings}`);
  assert.ok(found.headings[0], `the h1 at ${page.url()} is empty`);
  assert.match(found.title, /^\S.* · Mailgrant$/, `title of ${page.url()}`);
  assert.equal(found.lang, 'en');
  assert.equal(found.scroll, 0, `${page.url()} scrolls sideways by ${found.scroll} px at ${page.viewportSize().width} px:\n${found.wide.join('\n')}`);
}

/** Keeps a picture of the whole page in the folder MAILGRANT_SHOTS, if there is one. */
export async function shot(page, name) {
  const folder = process.env.MAILGRANT_SHOTS;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  // "initial": hiding the caret would need a style of playwright's own, against the policy.
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true, caret: 'initial' });
}
