// Every page in every look, with and without script: axe finds nothing, nothing scrolls sideways, the policy holds, nothing to press
// is missing without script, the keyboard reaches everything and sees where it is, and pages stay small (`ux.md` 8.1, 10, 11, 13).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LOOKS, axe, launch, visit } from './browser.mjs';
import { actions, judge } from './judge.mjs';
import { furnished } from './places.mjs';
import { arrive, press, signIn } from './steps.mjs';
import { everywhere, fromNothing } from './walk.mjs';

let browser;
let world;
before(async () => {
  browser = await launch();
  world = await furnished(browser);
});
after(async () => {
  await world?.stop();
  await browser?.close();
});

test('setup, signing in and empty lists, in every look, with and without script', async () => {
  await Promise.all([true, false].map((script) => fromNothing(browser, { script }, judge)));
});

test('every page in every look; without script everything can be done that can be done with it', async () => {
  const places = world.places.filter((place) => !place.live);
  const offered = new Map();
  await everywhere(browser, world.console, places, { script: true }, async (browsing, { name }) => {
    offered.set(name, await actions(browsing.page));
    await judge(browsing);
  });
  const missing = new Map();
  await everywhere(browser, world.console, places, { script: false }, async (browsing, { name }) => {
    const here = new Set(await actions(browsing.page));
    const gone = offered.get(name).filter((action) => !here.has(action));
    if (gone.length > 0) missing.set(name, gone);
    await judge(browsing);
  });
  // What happened between the two looks, such as an older change that left its list, is gone with script as well.
  const doubted = places.filter(({ name }) => missing.has(name));
  await everywhere(browser, world.console, doubted, { script: true }, async (browsing, { name }) => {
    const still = await actions(browsing.page);
    assert.deepEqual(missing.get(name).filter((action) => still.includes(action)), [], 'missing without script');
  });
  assert.equal(offered.size, places.length, 'every page was looked at');
});

test('on a phone without script the menu opens and leads on', async () => {
  await visit(browser, world.console, { width: 390, script: false }, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await page.goto('/');
    const tokens = page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Tokens' });
    assert.equal(await tokens.isVisible(), false);
    await press(page, 'Menu');
    await axe(browsing);
    await tokens.click();
    await arrive(page, 'Tokens');
  });
});

test('the overview asks for its blocks anew and leaves the keyboard and the page where they are', async () => {
  await visit(browser, world.console, { width: 390 }, async (browsing) => {
    const { page } = browsing;
    await page.clock.install();
    await signIn(browsing);
    await page.goto('/');
    const link = page.locator('#o-dates .runway a').last();
    await link.focus();
    // As if something else had stood there.
    await page.evaluate(() => document.getElementById('o-dates').setAttribute('data-old', '1'));
    const here = () => page.evaluate(() => [document.activeElement.getAttribute('href'), document.activeElement.textContent, scrollY]);
    const before = await here();
    assert.ok(before[0] && before[2] > 0, `${before}`);
    await page.clock.fastForward(31_000);
    await page.locator('#o-dates:not([data-old])').waitFor();
    assert.deepEqual(await here(), before);
  });
});

test('a browser whose clock differs by minutes is told above the checks', async () => {
  await visit(browser, world.console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await page.goto('/about');
    const line = page.locator('[data-clock]');
    await line.waitFor({ state: 'attached' });
    for (const [seconds, words] of [[60, ''], [725, 'This browser’s clock is 12 minutes ahead.'], [-7300, 'This browser’s clock is 2 hours behind.'], [0, '']]) {
      await page.clock.setFixedTime(Date.now() + seconds * 1000);
      await page.goto('/about');
      assert.equal(await line.textContent(), words);
      assert.equal(await line.isVisible(), words !== '');
    }
  });
});

/** Where the keyboard is, and whether one can see it. */
const focus = (page) =>
  page.evaluate(() => {
    const at = document.activeElement;
    if (!at || at === document.body) return undefined;
    const box = at.getBoundingClientRect();
    const ringOn = [at, at.closest('label')].find((element) => element && getComputedStyle(element).outlineStyle !== 'none' && parseFloat(getComputedStyle(element).outlineWidth) >= 2);
    const [x, y] = [box.left + Math.min(box.width / 2, 40), box.top + Math.min(box.height / 2, 20)];
    const seen = document.elementFromPoint(x, y);
    return {
      what: `${at.tagName.toLowerCase()} ${(at.getAttribute('aria-label') ?? at.innerText ?? '').trim().slice(0, 60) || (at.name ?? '')}`,
      ring: Boolean(ringOn),
      inside: box.bottom > 0 && box.top < innerHeight && box.width > 0,
      covered: !(seen && (at.contains(seen) || seen.contains(at))),
    };
  });

for (const { width, height } of [LOOKS[0], LOOKS[2]]) {
  test(`the keyboard reaches everything in order and shows where it is, at ${width} px`, async (t) => {
    await visit(browser, world.console, { width, height }, async (browsing) => {
      const { page } = browsing;
      await signIn(browsing);
      for (const path of ['/', '/mailboxes', '/mailboxes/works', '/mailboxes/works/edit', '/tokens/works', '/providers/new?template=custom']) {
        await t.test(path, async () => {
          await page.goto(path);
          await page.keyboard.press('Tab');
          const first = await focus(page);
          assert.equal(first.what, 'a Skip to content');
          assert.ok(first.inside && first.ring, 'the skip link can be seen');
          const seen = [first.what];
          for (let i = 0; i < 150; i += 1) {
            await page.keyboard.press('Tab');
            const at = await focus(page);
            if (!at || at.what === first.what) break;
            assert.ok(at.ring, `${at.what} has the keyboard and shows no ring`);
            assert.ok(at.inside && !at.covered, `${at.what} has the keyboard and can't be seen`);
            seen.push(at.what);
          }
          assert.ok(seen.length > 8 && seen.length < 150, `only ${seen.join(', ')}`);

          await page.goto(path);
          await page.keyboard.press('Tab');
          await page.keyboard.press('Enter');
          await page.keyboard.press('Tab');
          const inMain = await page.evaluate(() => document.querySelector('main').contains(document.activeElement));
          assert.ok(inMain, 'the skip link leads into the page');
        });
      }
    });
  });
}

test('the first page is light', async () => {
  await visit(browser, world.console, {}, async (browsing) => {
    const { page, context } = browsing;
    let bytes = 0;
    context.on('requestfinished', async (request) => {
      const sizes = await request.sizes();
      bytes += sizes.responseBodySize + sizes.responseHeadersSize;
    });
    await page.goto('/login', { waitUntil: 'networkidle' });
    assert.ok(bytes > 10_000 && bytes < 150_000, `${bytes} bytes for the sign-in page`);
    bytes = 0;
    await signIn(browsing);
    await page.waitForLoadState('networkidle');
    assert.ok(bytes < 150_000, `${bytes} bytes more for the first page inside`);
  });
});
