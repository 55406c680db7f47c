// Every walkthrough, from its start to its last step, at the sandbox: by the admin of the console, by an admin of the provider and by the
// owner of the mailbox, who have no account here and come through links.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { arrive, fill, press } from './steps.mjs';
import { begin, consents, demo, end, entersSecret, portal, signsIn, walking } from './walker.mjs';

const TENANT = '0f9d1c2b-3a4e-4c5d-8e6f-7a8b9c0d1e2f';

before(begin);
after(end);

const walks = (name, work) => test(name, { timeout: 240_000 }, () => walking(work));

const callback = (name) => `${demo.origin}/oauth/callback/${name}`;
const consentReturn = (name) => `${demo.origin}/oauth/admin-consent/${name}`;

walks('Microsoft 365, user sign-in: an Entra admin and the owner of the mailbox come through links', async (w) => {
  const mailbox = 'walk-user@contoso.test';
  await portal({ act: 'account', house: 'microsoft', mailbox });
  await w.start('Microsoft 365, user sign-in', { Mailbox: mailbox, 'Name of the provider': 'walk-user' });
  const client = await portal({ act: 'register', house: 'microsoft' });
  await w.judged('microsoft-user-begun');
  await w.provider(1, { tenant: TENANT, client_id: client, authority: demo.sandbox });
  await w.check(1, 'Done', /Step 1 is done/);
  await w.check(2, 'There is a problem', /no redirect address|isn't registered/);
  await w.judged('microsoft-user-problem');
  for (const value of [callback('walk-user'), consentReturn('walk-user')]) await portal({ act: 'redirect', client, value });
  await w.check(2, 'Done');
  await entersSecret(await w.send(3, 'Make a secret link', 'entra@contoso.test'), await portal({ act: 'secret', client }));
  await w.is(3, 'Done');
  await w.send(4, 'Write the request', 'entra@contoso.test');
  await w.confirm(4);
  const consent = await w.send(5, 'Make a consent link', 'jari.salo@contoso.test');
  await w.judged('microsoft-user-waiting');
  await consents(consent);
  await w.is(5, 'Confirmed');
  await w.confirm(6);
  await w.token(7);
  await signsIn(await w.send(7, 'Make a sign-in link', 'the owner'), mailbox);
  await w.is(7, 'Done');
  await w.is(5, 'Done');
  await w.mailbox(8, 'microsoft', 'walk-user');
  await w.check(8, 'Done');
  await w.is(6, 'Done');
  await w.turnOn(9);
  await w.finished(9);
  await w.judged('microsoft-user-finished');
  // What stops being so is found.
  const { page } = w;
  await portal({ act: 'unredirect', client, value: callback('walk-user') });
  await page.goto(demo.origin + w.walk);
  await press(page, 'Check everything again');
  await page.getByText("Step 2 was so, and isn't any more").waitFor({ timeout: 60_000 });
  await w.open(2);
  assert.match(await page.locator('#open .inner').innerText(), /It was last true/);
  await portal({ act: 'redirect', client, value: callback('walk-user') });
  await w.check(2, 'Done');
  await w.finished(9);
});

/** The app-only walkthroughs, after the app has proved itself. */
async function appOnly(w, { client, name, mailbox, step }) {
  await w.confirm(3);
  await w.check(4, 'There is a problem', /Not allowed/);
  await portal({ act: 'roles', client, value: 'IMAP.AccessAsApp SMTP.SendAsApp' });
  await consents(await w.send(4, 'Make a consent link', 'jari.salo@contoso.test'));
  await w.is(4, 'Done');
  await w.is(3, 'Done');
  await w.mailbox(5, 'microsoft', name);
  await w.is(5, 'Done');
  await w.check(6, 'There is a problem');
  await w.judged(`${name}-exchange`);
  await w.send(6, 'Write the request', 'exchange@contoso.test');
  await portal({ act: 'open', client, mailbox });
  await w.check(6, 'Done');
  await w.open(7);
  await fill(w.page, 'A mailbox that it must not open', 'ceo@contoso.test');
  await press(w.page, 'Check now');
  await w.page.locator('.flash').waitFor({ timeout: 60_000 });
  await w.is(7, 'Done');
  await w.check(8, 'Done');
  await w.turnOn(9);
  await w.finished(step);
}

/** Begins one of the app-only walkthroughs: its app is registered, and its provider is here. The client id. */
async function registersApp(w, { title, name, mailbox }) {
  await portal({ act: 'account', house: 'microsoft', mailbox });
  await w.start(title, { Mailbox: mailbox, 'Name of the provider': name });
  const client = await portal({ act: 'register', house: 'microsoft' });
  const { page } = w;
  await w.open(1);
  await page.getByRole('link', { name: 'Add the provider' }).click();
  await page.locator('input[name="app_resource"][value="outlook"]').check();
  for (const summary of await page.locator('form details > summary').all()) await summary.click();
  for (const [id, value] of Object.entries({ tenant: TENANT, client_id: client, authority: demo.sandbox })) await page.locator(`#${id}`).fill(value);
  await press(page, 'Save without checking');
  await w.back();
  await w.check(1, 'Done');
  await portal({ act: 'redirect', client, value: consentReturn(name) });
  return client;
}

walks('Microsoft 365, app-only with certificate', async (w) => {
  const [name, mailbox] = ['walk-cert', 'walk-cert@contoso.test'];
  const client = await registersApp(w, { title: 'Microsoft 365, app-only with certificate', name, mailbox });
  const { page } = w;
  await w.check(2, 'There is a problem');
  // The diagnosis stands at the step, with what the admin of the provider has to do.
  assert.match(await page.locator('#problem').innerText(), /Entra admin center/);
  await w.judged('certificate');
  await w.open(2);
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: /^Download/ }).click()]);
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  await portal({ act: 'certificate', client, value: Buffer.concat(chunks).toString('base64') });
  await w.check(2, 'Done');
  await appOnly(w, { client, name, mailbox, step: 9 });
});

walks('Microsoft 365, app-only with secret', async (w) => {
  const [name, mailbox] = ['walk-secret', 'walk-secret@contoso.test'];
  const client = await registersApp(w, { title: 'Microsoft 365, app-only with secret', name, mailbox });
  await entersSecret(await w.send(2, 'Make a secret link', 'entra@contoso.test'), await portal({ act: 'secret', client }));
  await w.is(2, 'Done');
  await appOnly(w, { client, name, mailbox, step: 9 });
});

walks('A shared mailbox, opened by a delegate who comes through a link', async (w) => {
  const [mailbox, delegate] = ['walk-shared@contoso.test', 'walk-delegate@contoso.test'];
  await portal({ act: 'shared', house: 'microsoft', mailbox });
  await portal({ act: 'account', house: 'microsoft', mailbox: delegate });
  await w.start('Shared mailbox', { 'Shared mailbox': mailbox, 'Account of the delegate': delegate, 'Name of the provider': 'walk-shared' });
  const { page } = w;
  await w.open(1);
  await page.locator('#provider').selectOption('contoso');
  await press(page, 'Use it');
  await page.getByText('is about provider contoso now').waitFor();
  await w.check(1, 'Done');
  await w.send(2, 'Write the request', 'exchange@contoso.test');
  await w.confirm(2);
  await w.confirm(3);
  await w.token(4);
  await signsIn(await w.send(4, 'Make a sign-in link', 'the delegate'), delegate);
  await w.is(4, 'Done');
  await w.mailbox(5, 'microsoft', 'walk-delegate');
  await w.check(5, 'There is a problem', /step 5/);
  await w.judged('shared');
  await portal({ act: 'delegate', mailbox, value: delegate });
  await w.check(5, 'Done');
  await w.is(2, 'Done');
  await w.turnOn(6);
  await w.finished(6);
});

walks('Move from user sign-in to app-only', async (w) => {
  const mailbox = 'walk-move@contoso.test';
  await portal({ act: 'account', house: 'microsoft', mailbox });
  // As the first walkthrough leaves it: an app that people sign in through, and a mailbox.
  await w.start('Microsoft 365, user sign-in', { Mailbox: mailbox, 'Name of the provider': 'walk-move' });
  const client = await portal({ act: 'register', house: 'microsoft' });
  for (const value of [callback('walk-move'), consentReturn('walk-move')]) await portal({ act: 'redirect', client, value });
  await portal({ act: 'public', client, value: 'yes' });
  const secret = await portal({ act: 'secret', client });
  await w.provider(1, { tenant: TENANT, client_id: client, authority: demo.sandbox, secret_later: false, client_secret: secret });
  await w.check(1, 'Done');
  await w.check(2, 'Done');
  await w.check(3, 'Done');
  const { page } = w;
  // The admin is at hand: without a link, in this browser.
  await w.open(5);
  await press(page, 'Open it myself');
  await page.locator('#continue').click();
  await page.getByRole('radio', { name: /admin@contoso\.test/ }).check();
  await press(page, 'Accept');
  await w.back();
  await page.getByText('Consent is granted.').waitFor();
  await w.token(7);
  // And so is the owner of the mailbox.
  await w.open(7);
  await press(page, 'Get authorization token');
  await page.locator('#continue').click();
  await page.getByRole('button', { name: /walk-move@contoso\.test/ }).click();
  await w.back();
  await page.getByText(`${mailbox} is signed in.`).waitFor();
  await w.mailbox(8, 'microsoft', 'walk-move');
  await w.check(8, 'Done');

  await w.start('Move from user sign-in to app-only', { Mailbox: mailbox, 'Name of the provider': 'walk-move-not' });
  await w.open(1);
  await page.locator('#provider').selectOption('walk-move');
  await press(page, 'Use it');
  await w.check(1, 'Done');
  await w.open(2);
  await page.getByRole('link', { name: 'Add the token' }).click();
  await page.locator('#name').fill('walk-move-app');
  await page.locator('button[name="act"][value="save"]').last().click();
  await w.back();
  await w.is(2, 'Done');
  await w.confirm(3);
  await portal({ act: 'roles', client, value: 'IMAP.AccessAsApp SMTP.SendAsApp' });
  await consents(await w.send(4, 'Make a consent link', 'jari.salo@contoso.test'));
  await w.is(4, 'Done');
  await portal({ act: 'open', client, mailbox });
  await w.confirm(5);
  await w.open(6);
  await page.getByRole('link', { name: /^Choose the app's token/ }).click();
  await page.locator('#token').selectOption('walk-move-app');
  await press(page, 'Save');
  await w.back();
  await w.is(6, 'Done');
  await w.check(7, 'Done');
  await w.open(8);
  await fill(page, 'A mailbox that it must not open', 'ceo@contoso.test');
  await press(page, 'Check now');
  await page.locator('.flash').waitFor({ timeout: 60_000 });
  await w.is(8, 'Done');
  await w.is(9, 'Done');
  await w.is(10, 'Not started');
  await page.goto(`${demo.origin}/tokens/walk-move/remove`);
  await page.locator('#confirm').fill(mailbox);
  await page.locator('main form button.danger').click();
  await w.is(10, 'Done');
  await w.confirm(11);
  await w.check(12, 'There is a problem', /Public client flows are on/);
  await w.judged('move');
  await portal({ act: 'public', client, value: 'no' });
  await w.check(12, 'Done');
  await w.finished(12);
});

walks('Replace an expiring secret, which somebody without an account brings', async (w) => {
  const { page } = w;
  const client = '11112222-bbbb-4333-8ccc-4444dddd5555';
  await w.start('Replace an expiring secret', {});
  await w.open(1);
  await page.locator('#provider').selectOption('contoso');
  await press(page, 'Use it');
  await w.is(1, 'Done');
  await w.open(3);
  assert.match(await page.locator('#open').innerText(), /old one is still in use/);
  await entersSecret(await w.send(2, 'Make a secret link', 'entra@contoso.test'), await portal({ act: 'secret', client }));
  await w.is(2, 'Done');
  await w.is(3, 'Done');
  await w.check(4, 'Done');
  await portal({ act: 'unsecret', client, value: 'sandbox~microsoft.secret-0123456789ab' });
  await w.confirm(5);
  await w.finished(5);
});

walks('Google, user sign-in', async (w) => {
  const mailbox = 'walk-gmail@fabrikam.test';
  await portal({ act: 'account', house: 'google', mailbox });
  await w.start('Google, user sign-in', { Mailbox: mailbox, 'Name of the provider': 'walk-google' });
  const client = await portal({ act: 'register', house: 'google' });
  for (const number of [1, 2, 3]) await w.confirm(number);
  const url = `${demo.sandbox}/google`;
  await w.provider(4, {
    client_id: client, client_secret: await portal({ act: 'secret', client }), issuer: url,
    authorize_url: `${url}/o/oauth2/v2/auth`, token_url: `${url}/token`, revocation_url: `${url}/revoke`, device_authorization_url: `${url}/device/code`, userinfo_url: `${url}/v1/userinfo`,
  });
  await w.check(4, 'Done');
  await w.check(5, 'There is a problem');
  await portal({ act: 'redirect', client, value: callback('walk-google') });
  await w.check(5, 'Done');
  await w.confirm(6);
  await w.send(7, 'Write the request', 'workspace@fabrikam.test');
  await w.confirm(7);
  await w.token(8);
  await signsIn(await w.send(8, 'Make a sign-in link', 'the owner'), mailbox);
  await w.is(8, 'Done');
  await w.mailbox(9, 'google', 'walk-gmail');
  await w.check(9, 'Done');
  await w.turnOn(10);
  await w.finished(10);
});

walks('Google, service account', async (w) => {
  const mailbox = 'walk-service@fabrikam.test';
  await portal({ act: 'account', house: 'google', mailbox });
  await w.start('Google, service account', { Mailbox: mailbox, 'Name of the provider': 'walk-service' });
  const key = await portal({ act: 'service' });
  await w.confirm(1);
  const url = `${demo.sandbox}/google`;
  await w.provider(2, {
    service_account: key, tenant: 'fabrikam.test', token_url: `${url}/token`,
  });
  await w.check(2, 'Done');
  await w.check(3, 'There is a problem');
  await w.judged('service');
  await w.send(3, 'Write the request', 'workspace@fabrikam.test');
  await portal({ act: 'roles', client: JSON.parse(key).client_id, value: 'https://mail.google.com/' });
  await w.check(3, 'Done');
  await w.confirm(4);
  await w.mailbox(5, 'google', 'walk-service');
  await w.check(5, 'Done');
  await w.turnOn(6);
  await w.finished(6);
});

/** Yahoo and other providers are played by the OpenID provider of the sandbox. */
async function open(w, { mailbox, name, client, redirect, signIn, of }) {
  await w.check(redirect, 'There is a problem');
  await portal({ act: 'redirect', client, value: callback(name) });
  await w.check(redirect, 'Done');
  await w.token(signIn);
  await signsIn(await w.send(signIn, 'Make a sign-in link', 'the owner'), mailbox);
  await w.is(signIn, 'Done');
  await w.mailbox(signIn + 1, 'open', mailbox.split('@')[0]);
  await w.check(signIn + 1, 'Done');
  await w.turnOn(signIn + 2);
  await w.finished(of);
}

walks('Yahoo', async (w) => {
  const mailbox = 'walk-yahoo@tailspin.test';
  await portal({ act: 'account', house: 'open', mailbox });
  await w.start('Yahoo', { Mailbox: mailbox, 'Name of the provider': 'walk-yahoo' });
  const client = await portal({ act: 'register', house: 'open' });
  await w.confirm(1);
  const url = demo.sandbox;
  await w.provider(2, {
    client_id: client, client_secret: await portal({ act: 'secret', client }), issuer: url, authorize_url: `${url}/authorize`, token_url: `${url}/token`,
    revocation_url: `${url}/revoke`, device_authorization_url: `${url}/device_authorization`, userinfo_url: `${url}/userinfo`, scopes: 'offline_access',
  });
  await w.check(2, 'Done');
  await open(w, { mailbox, name: 'walk-yahoo', client, redirect: 3, signIn: 4, of: 6 });
});

walks('Another provider, by its own description', async (w) => {
  const { page } = w;
  const mailbox = 'walk-other@tailspin.test';
  await portal({ act: 'account', house: 'open', mailbox });
  await w.start('Other provider', { Mailbox: mailbox, 'Name of the provider': 'walk-other' });
  const client = await portal({ act: 'register', house: 'open' });
  await w.open(1);
  await page.getByRole('link', { name: 'Add the provider' }).click();
  await page.locator('#issuer').fill(demo.sandbox);
  await press(page, 'Read it');
  await page.getByText(/^Read from/).waitFor();
  await page.locator('#client_id').fill(client);
  await page.locator('#client_secret').fill(await portal({ act: 'secret', client }));
  await page.locator('#scopes').fill('mail offline_access');
  await press(page, 'Save without checking');
  await w.back();
  await w.check(1, 'Done');
  await w.confirm(3);
  await open(w, { mailbox, name: 'walk-other', client, redirect: 2, signIn: 4, of: 6 });
});
