// Signing in at the provider goes wrong in many ways; none of them may touch the token that is stored, and each says what happened
// and what to do (`ux.md` 7.2). The console is on PostgreSQL here, so that the stored row can be compared to the last byte.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { axe, launch, sound, visit } from './browser.mjs';
import { Console } from './console.mjs';
import { READ, SEND, control, register, rig, somebody } from './rig.mjs';
import { allow, arrive, configuration, pick, press, signIn } from './steps.mjs';

const MAIJA = rig.users.maija;
const SCOPE = `openid email profile offline_access ${READ} ${SEND}`;

let browser;
let console;
let clientId;
before(async () => {
  [browser, console] = await Promise.all([launch(), Console.startOnPostgres()]);
  await console.addAdmin();
  clientId = await register(console.origin, 'contoso');
  await console.apply(configuration({ provider: 'contoso', clientId }));
});
after(async () => {
  await browser?.close();
  await console?.stop();
});

/** A token of its own for a test, with a grant that works and has been used. */
async function token(name, mailbox = {}) {
  const address = await somebody(name);
  const grant = await control('/grant', { client_id: clientId, account: address, scope: SCOPE });
  await console.apply(configuration({ provider: 'contoso', clientId, people: [{ name, address, token: grant.refresh_token, ...mailbox }] }));
  await console.command(['token', 'refresh', name]);
  const row = await console.grant(name);
  assert.match(row, /"rt_current":"[^"]/);
  return { name, address, unchanged: async () => assert.equal(await console.grant(name), row, 'the stored row') };
}

/** From the page before leaving to the provider. */
async function goOn(page, { address }) {
  await arrive(page, `Sign in as ${address}`);
  await page.getByRole('link', { name: /^Continue to/ }).click();
  await page.waitForURL(`${rig.issuer}/**`);
}

/** Presses *Get authorization token* and goes on to the provider. */
async function leave(page, it) {
  await page.goto(`/tokens/${it.name}`);
  await press(page, 'Get authorization token');
  await goOn(page, it);
}

/** Signs in at the provider as the right account. */
async function signInThere(page, { address }) {
  await pick(page, address);
  await allow(page);
}

/** The token page after a sign-in that counted. */
async function signedIn(page, { address }) {
  await page.getByRole('status').getByText(`${address} is signed in`).waitFor();
  await arrive(page, address);
}

/** A result page: its heading, what it says, and its first button. Everything a page owes its reader holds too. */
async function says(visit, heading, text, button) {
  const { page } = visit;
  await arrive(page, heading);
  await page.getByText(text).waitFor();
  if (button) assert.equal(await page.locator('main .btn.primary').innerText(), button);
  const { search } = new URL(page.url());
  assert.equal(search, '', 'code and state are gone from the address');
  await sound(page);
  await axe(visit);
}

/** Presses Allow, but keeps the return from reaching the console; its address. Playwright sees no redirects on their way, so they are
    followed here, with the cookies of this browser. */
async function allowAndCatch({ page, context }) {
  let caught;
  await context.route(`${rig.issuer}/interaction/**`, async (route) => {
    let answer = await route.fetch({ maxRedirects: 0 });
    for (;;) {
      const next = new URL(answer.headers().location, answer.url()).href;
      if (!next.startsWith(rig.issuer)) {
        caught = next;
        break;
      }
      answer = await context.request.get(next, { maxRedirects: 0 });
    }
    await route.fulfill({ contentType: 'text/html', body: '<title>Caught</title><h1>Caught</h1>' });
  });
  await allow(page);
  await arrive(page, 'Caught');
  await context.unrouteAll({ behavior: 'wait' });
  return caught;
}

test('a different account is named and refused, and the next try asks which account', async () => {
  const it = await token('different');
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await leave(page, it);
    await pick(page, MAIJA);
    await allow(page);
    await says(browsing, `You signed in as ${MAIJA}`, `This token is for ${it.address}, so we kept the old one.`, 'Choose the account again');
    await it.unchanged();

    await press(page, 'Choose the account again');
    await goOn(page, it);
    await signInThere(page, it);
    await signedIn(page, it);
    const { requests } = await control(`/requests?client_id=${clientId}&endpoint=authorize`);
    assert.equal(requests.at(-1).prompt, 'select_account');
    assert.equal(requests.at(-1).login_hint, it.address);
  });
});

test('coming back without signing in, and saying no to the permissions, change nothing', async () => {
  const it = await token('cancelled');
  await visit(browser, console, { width: 390, script: false }, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await leave(page, it);
    await press(page, 'Cancel');
    await says(browsing, 'You came back without signing in', 'Nothing changed.', 'Try again');
    await it.unchanged();

    await press(page, 'Try again');
    await goOn(page, it);
    await pick(page, it.address);
    await arrive(page, 'Permissions requested');
    await press(page, 'Deny');
    await says(browsing, 'You came back without signing in', 'Nothing changed.', 'Try again');
    await it.unchanged();
  });
});

test('the address of a return counts once', async () => {
  const it = await token('replayed');
  await visit(browser, console, {}, async (browsing) => {
    const { page, context } = browsing;
    const returns = [];
    context.on('request', (request) => request.url().includes('/oauth/callback/') && returns.push(request.url()));
    await signIn(browsing);
    await leave(page, it);
    await signInThere(page, it);
    await signedIn(page, it);
    const after = await console.grant(it.name);
    const asked = await exchanges();

    assert.equal(returns.length, 1);
    await page.goto(returns[0]);
    await says(browsing, 'This sign-in is too old', /Nothing changed\. Start again/, 'Overview');
    assert.equal(await console.grant(it.name), after);
    assert.equal(await exchanges(), asked, 'the provider is not asked again');
  });
});

test('the back button after a sign-in leads to a page that says it is over', async () => {
  const it = await token('back');
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await page.goto(`/tokens/${it.name}`);
    await press(page, 'Get authorization token');
    await arrive(page, `Sign in as ${it.address}`);
    const leaving = page.url();
    const place = await page.evaluate(() => history.length);
    await goOn(page, it);
    await signInThere(page, it);
    await signedIn(page, it);
    const after = await console.grant(it.name);

    // Back, past the provider's pages, to the page before leaving.
    await page.evaluate((to) => history.go(to - history.length), place);
    await page.waitForURL(leaving);
    await says(browsing, `${it.address} is signed in`, 'The token is stored and renews itself.', 'Back to the token');
    assert.equal(await console.grant(it.name), after);
  });
});

test('a double click on Get authorization token starts a sign-in that can be finished', async () => {
  const it = await token('twice');
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await page.goto(`/tokens/${it.name}`);
    await page.getByRole('button', { name: 'Get authorization token' }).dblclick();
    await goOn(page, it);
    await it.unchanged();
    await signInThere(page, it);
    await signedIn(page, it);
  });
});

test('two tabs sign in for one token, and the first is still good after the second', async () => {
  const it = await token('tabs');
  await visit(browser, console, {}, async (browsing) => {
    const first = browsing.page;
    await signIn(browsing);
    const second = await browsing.context.newPage();
    await leave(first, it);
    await leave(second, it);
    await signInThere(second, it);
    await signedIn(second, it);
    const after = await console.grant(it.name);

    await pick(first, MAIJA);
    await allow(first);
    await arrive(first, `You signed in as ${MAIJA}`);
    assert.equal(await console.grant(it.name), after);
    await press(first, 'Choose the account again');
    await goOn(first, it);
    await pick(first, it.address);
    await signedIn(first, it);
    await console.command(['token', 'refresh', it.name]);
  });
});

test('a changed state is not ours', async () => {
  const it = await token('tampered');
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await leave(page, it);
    await pick(page, it.address);
    const address = new URL(await allowAndCatch(browsing));
    assert.match(address.searchParams.get('state'), /^[\w-]{43}$/);
    address.searchParams.set('state', 'A'.repeat(43));
    await page.goto(address.href);
    await says(browsing, 'We didn\'t start this sign-in', 'Nothing changed.', 'Overview');
    await it.unchanged();
  });
});

test('a return in another browser is refused there, and still counts in the one that left', async () => {
  const it = await token('other');
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await leave(page, it);
    await pick(page, it.address);
    const address = await allowAndCatch(browsing);
    for (const known of [false, true]) {
      await visit(browser, console, {}, async (thief) => {
        if (known) await signIn(thief);
        await thief.go(address);
        await says(thief, 'This sign-in is too old', /in the window they were started in\. Nothing changed\./, 'Overview');
      });
      await it.unchanged();
    }
    await page.goto(address);
    await signedIn(page, it);
    assert.notEqual(await console.grant(it.name), '');
  });
});

test('a link for a private window works once, in a browser without an account here', async () => {
  const it = await token('linked');
  let link;
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await page.goto(`/tokens/${it.name}`);
    await press(page, 'Get authorization token');
    await arrive(page, `Sign in as ${it.address}`);
    await press(page, 'Copy the link for a private window');
    await arrive(page, 'Sign-in link');
    link = (await page.locator('#link').innerText()).trim();
    assert.match(link, new RegExp(`^${console.origin}/l/[\\w-]+$`));
    await sound(page);
    await axe(browsing);
  });
  await visit(browser, console, { width: 390, script: false }, async (browsing) => {
    const { page } = browsing;
    const open = async () => {
      await browsing.go(link);
      await arrive(page, `Sign in as ${it.address}`);
      await sound(page);
      await axe(browsing);
      await press(page, `Sign in as ${it.address}`);
      await goOn(page, it);
    };
    await open();
    await pick(page, MAIJA);
    await allow(page);
    await says(browsing, `You signed in as ${MAIJA}`, `Open the link again and choose ${it.address}.`);
    await it.unchanged();

    await open();
    await signInThere(page, it);
    await says(browsing, 'Done', `${it.address} is signed in. You can close this window.`);
    const after = await console.grant(it.name);
    await assert.rejects(it.unchanged());

    await browsing.go(link);
    await says(browsing, 'This link was used', /If that wasn.t you, tell/);
    assert.equal(await page.getByRole('button').count(), 0);
    assert.equal(await console.grant(it.name), after);
  });
});

test('after a sign-in that counts the mailbox is tested, and a test that fails undoes nothing', async () => {
  const works = await token('works');
  const fails = await token('fails', { port: 1 }); // nobody is there
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await leave(page, works);
    await pick(page, MAIJA);
    await allow(page);
    await arrive(page, `You signed in as ${MAIJA}`);
    await page.goto(`/tests?mailbox=${works.name}`);
    await page.getByRole('heading', { name: 'No test matches' }).waitFor();

    for (const [it, verdict] of [[works, `${works.address} can be read`], [fails, 'Nothing answers on that port']]) {
      await page.goto(`/tokens/${it.name}`);
      const prompt = page.getByLabel('At the sign-in page');
      if (it === works) assert.equal(await prompt.inputValue(), 'select_account', 'preset after another account came back');
      else await prompt.selectOption('select_account');
      await press(page, 'Get authorization token');
      await goOn(page, it);
      await signInThere(page, it);
      await signedIn(page, it);
      const row = await console.grant(it.name);
      await page.getByRole('link', { name: 'See the first mail test' }).click();
      await arrive(page, `Test incoming: ${it.address}`);
      await page.locator('#verdict').getByRole('heading', { name: verdict }).waitFor();
      await sound(page);
      await axe(browsing);
      assert.equal(await console.grant(it.name), row, 'the token stays as the sign-in left it');
    }
  });
});

/** How often a code was exchanged so far. */
async function exchanges() {
  const { requests } = await control(`/requests?client_id=${clientId}&endpoint=token`);
  return requests.filter((request) => request.grant_type === 'authorization_code').length;
}
