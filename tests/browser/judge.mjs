// One page in every look: what pages.test.mjs asks of each page of the console, and demo.test.mjs of the demo's own.
import assert from 'node:assert/strict';
import { COLOURS, LOOKS, axe, look, sound } from './browser.mjs';

const MOST_HTML = 25 * 1024;
const NARROWEST = { width: 320, height: 800, scheme: 'light' };

/** What can be pressed, followed or filled in on the open page, in words that stay the same from one visit to the next. */
export const actions = (page) =>
  page.evaluate(() => {
    const place = (address) => {
      const { origin, pathname } = new URL(address, location.href);
      return (origin === location.origin ? '' : origin) + pathname.replaceAll(/[0-9a-f]{20,}|(?<=^\/l\/)[\w-]+/g, '#');
    };
    const found = [];
    for (const it of document.querySelectorAll('a[href], button, summary, select, textarea, input:not([type=hidden])')) {
      // Copying and showing what one types is script's own; what is to be copied can be selected in one click.
      if (!it.checkVisibility() || it.matches('[data-copy], [data-copy-form], [data-show]')) continue;
      // What happened meanwhile is listed newest first: links there come and go.
      if (it.localName !== 'button' && it.closest('.feed, table.log')) continue;
      const words = (it.textContent || it.getAttribute('aria-label') || '').replaceAll(/\s+/g, ' ').trim();
      if (it.localName === 'a') found.push(`link to ${place(it.href)}`);
      else if (it.localName === 'button') found.push(`button ${words} ${it.form ? place(it.form.action) : ''}`);
      else if (it.localName === 'summary') found.push(`fold ${words}`);
      else found.push(`field ${it.name}`);
    }
    return found;
  });

/** What does nothing without script: buttons that belong to no form and open nothing, values that can't be selected in one click. */
const dead = (page) =>
  page.evaluate(() => {
    const useless = (button) => button.checkVisibility() && !button.form && !button.popoverTargetElement;
    const clumsy = (button) => getComputedStyle(document.getElementById(button.dataset.copy)).userSelect !== 'all';
    return [...[...document.querySelectorAll('button')].filter(useless), ...[...document.querySelectorAll('[data-copy]')].filter(clumsy)].map((it) => it.outerHTML);
  });

/** One page in all its looks. Themes differ in colours only, so in the dark axe judges those; without script a phone in the dark is judged
    whole, for what script would have changed. */
export async function judge(browsing) {
  const { page, script } = browsing;
  if (script) {
    const size = await page.evaluate(() => performance.getEntriesByType('navigation')[0].decodedBodySize);
    // A long list is as long as somebody wants it: a kilobyte for each row beyond ten.
    const rows = await page.locator('main tbody tr').count();
    const most = MOST_HTML + Math.max(0, rows - 10) * 1000;
    assert.ok(size < most, `${size} bytes of HTML, ${rows} rows`);
  } else {
    assert.deepEqual(await dead(page), []);
  }
  for (const variant of LOOKS) {
    const dark = variant.scheme === 'dark';
    await look(page, variant);
    await sound(page);
    if (script) await axe(browsing, dark ? COLOURS : undefined);
    else if (dark && variant.width < 800) await axe(browsing);
  }
  await look(page, NARROWEST);
  await sound(page);
}
