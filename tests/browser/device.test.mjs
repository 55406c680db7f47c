// A sign-in at another device: the code stands on the token's page, somebody enters it elsewhere, and the page follows by itself; without
// script there is a link to look again (`ux.md` 6.8).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { axe, launch, shot, sound, visit } from './browser.mjs';
import { Console } from './console.mjs';
import { register, rig, somebody } from './rig.mjs';
import { allow, arrive, configuration, pick, press, refreshUntilOver, signIn } from './steps.mjs';

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

async function token(name) {
  const address = await somebody(name);
  await console.apply(`[[token]]\nname = "${name}"\nprovider = "contoso"\ngrant = "device_code"\nuser = "${address}"\n`);
  return { name, address };
}

/** Presses *Get authorization token*; the code on the page. */
async function begin(browsing, { name, address }) {
  const { page } = browsing;
  await browsing.go(`/tokens/${name}`);
  await press(page, 'Get authorization token');
  await page.getByRole('heading', { name: `Waiting for ${address} to sign in at another device` }).waitFor();
  assert.equal(await page.getByRole('link', { name: `${rig.issuer}/device`, exact: true }).getAttribute('href'), `${rig.issuer}/device`);
  await sound(page);
  await axe(browsing);
  return page.locator('#code').innerText();
}

/** Somebody enters the code at another device and signs in as `account`; with none they cancel. */
async function elsewhere(code, account) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  try {
    const page = await context.newPage();
    await page.goto(`${rig.issuer}/device`);
    await page.locator('input[name=user_code]').fill(code);
    await press(page, 'Continue');
    await arrive(page, 'Is this your code?');
    await press(page, 'Continue');
    if (!account) {
      await press(page, 'Cancel');
      return;
    }
    await pick(page, account);
    await allow(page);
    await arrive(page, 'Signed in');
  } finally {
    await context.close();
  }
}

test('with script the page follows by itself to a token that works', async () => {
  const it = await token('phone');
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    const code = await begin(browsing, it);
    await page.getByRole('button', { name: 'Copy Code' }).waitFor();
    await shot(page, 'device-waiting');
    await elsewhere(code, it.address);
    await page.getByRole('heading', { name: 'Works', exact: true }).waitFor();
    assert.equal(await page.locator('#code').count(), 0);
    await sound(page);
    await axe(browsing);
    assert.match(await console.grant(it.name), /"rt_current":"[^"]/);
  });
});

test('somebody else, a refusal and a stop are told, and nothing is stored', async () => {
  const it = await token('tablet');
  await visit(browser, console, { width: 390 }, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    for (const [account, heading] of [
      [rig.users.maija, `You signed in as ${rig.users.maija}`],
      [null, 'The sign-in was refused by the person or a policy'],
    ]) {
      await elsewhere(await begin(browsing, it), account);
      await page.getByText(heading).first().waitFor();
      await sound(page);
      await axe(browsing);
      await page.getByRole('link', { name: 'What to do' }).click();
      await arrive(page, heading);
      await page.getByRole('button', { name: 'Get a new code' }).waitFor();
      await sound(page);
      await axe(browsing);
    }
    await begin(browsing, it);
    await press(page, 'Stop');
    await page.getByRole('status').getByText('Sign-in cancelled. Nothing changed.').waitFor();
    assert.equal(await page.locator('#code').count(), 0);
    assert.equal(await console.grant(it.name), '');
  });
});

test('without script a link shows how it stands', async () => {
  const it = await token('fridge');
  await visit(browser, console, { script: false }, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await elsewhere(await begin(browsing, it), it.address);
    await refreshUntilOver(page);
    await page.getByRole('heading', { name: 'Works', exact: true }).waitFor();
    await sound(page);
    await axe(browsing);
  });
});
