// Not proven yet, and so not run: tests/run takes *.test.mjs only. Rename when it passes.
// Every page in every look: axe finds nothing, nothing scrolls sideways, the policy holds, the keyboard reaches everything and sees
// where it is, and pages stay small (`ux.md` 10, 11, 13).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LOOKS, axe, launch, look, shot, sound, visit } from './browser.mjs';
import { Console } from './console.mjs';
import { READ, SEND, control, register, somebody } from './rig.mjs';
import { configuration, press, signIn } from './steps.mjs';

// A name as long as names may be, and an address with a long first part.
const LONG = 'a-mailbox-with-a-name-that-is-as-long-as-names-are-allowed-to-be'.slice(0, 63);

let browser;
let console;
before(async () => {
  [browser, console] = await Promise.all([launch(), Console.start()]);
  await console.addAdmin();
  const clientId = await register(console.origin, 'contoso');
  const person = async (name, start, more = {}) => {
    const address = await somebody(start);
    const { refresh_token: token } = await control('/grant', { client_id: clientId, account: address, scope: `openid email profile offline_access ${READ} ${SEND}` });
    return { name, address, token, tags: ['helpdesk'], displayName: 'Contoso Support', ...more };
  };
  const people = [
    await person('works', 'support'),
    await person(LONG, 'returns.and.complaints.of.the.whole.contoso.group'),
    await person('fails', 'hr', { host: '127.0.0.9' }),
    { ...(await person('nobody', 'nobody-yet')), token: undefined },
  ];
  await console.apply(configuration({ provider: 'contoso', clientId, people }));
  for (const name of ['works', LONG, 'fails']) await console.command(['mailbox', 'test', name, '--incoming', '--json']).catch(() => {});
});
after(async () => {
  await browser?.close();
  await console?.stop();
});

/** Pages, and the statuses of those that are errors. */
const PAGES = [
  ['/'],
  ['/mailboxes'],
  ['/mailboxes?state=failing'],
  ['/mailboxes?q=nothing-has-this-name'],
  ['/mailboxes/new'],
  ['/mailboxes/works'],
  [`/mailboxes/${LONG}`],
  ['/mailboxes/fails'],
  [`/mailboxes/${LONG}/edit`],
  ['/mailboxes/works/test/incoming'],
  ['/mailboxes/works/test/outgoing'],
  ['/mailboxes/works/pause'],
  [`/mailboxes/${LONG}/delete`],
  ['/tests'],
  ['/providers'],
  ['/providers/new?template=microsoft'],
  ['/providers/new?template=google'],
  ['/providers/new?template=zoho'],
  ['/providers/new?template=custom'],
  ['/providers/contoso'],
  ['/providers/contoso/edit'],
  ['/providers/contoso/secret'],
  ['/providers/contoso/delete'],
  ['/tokens'],
  ['/tokens/new?provider=contoso'],
  ['/tokens/works'],
  ['/tokens/nobody'],
  [`/tokens/${LONG}/edit`],
  [`/tokens/${LONG}/remove`],
  ['/me'],
  ['/nowhere', 404],
  ['/mailboxes/nobody-knows-this', 404],
];

const name = (path) => path.replaceAll(/[^a-z0-9]+/gi, '-').replace(/^-|-$/g, '').slice(0, 60) || 'overview';

test('every page in every look', async (t) => {
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    for (const [path, status] of PAGES) {
      await t.test(path, async () => {
        if (status) browsing.expect(status);
        const response = await page.goto(path);
        const size = (await response.body()).length;
        assert.ok(size < 25_000, `${path} has ${size} bytes of HTML`);
        for (const variant of LOOKS) {
          await look(page, variant);
          await sound(page);
          await axe(browsing);
          await shot(page, `${name(path)}-${variant.width}-${variant.scheme}`);
        }
        await look(page, { width: 320, height: 800, scheme: 'light' });
        await sound(page);
      });
    }
  });
});

test('runs of tests in every look', async () => {
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    for (const who of ['works', 'fails']) {
      await page.goto(`/tests?mailbox=${who}`);
      await page.locator('main table a').first().click();
      await page.waitForURL(/\/tests\/[^?]+$/);
      for (const variant of LOOKS) {
        await look(page, variant);
        await sound(page);
        await axe(browsing);
        await shot(page, `run-${who}-${variant.width}-${variant.scheme}`);
      }
      await look(page, { width: 320, height: 800, scheme: 'light' });
      await sound(page);
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
    await visit(browser, console, { width, height }, async (browsing) => {
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
  await visit(browser, console, {}, async (browsing) => {
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
