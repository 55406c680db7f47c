// What a person does, page by page, by the words on the pages.
import assert from 'node:assert/strict';
import { axe, sound } from './browser.mjs';
import { ADMIN } from './console.mjs';
import { READ, SECRET, SEND, rig } from './rig.mjs';

const button = (page, name) => page.getByRole('button', { name, exact: true });
const heading = (page, text) => page.getByRole('heading', { level: 1, name: text });

/** Waits for a page by its heading. */
export async function arrive(page, text) {
  await heading(page, text).waitFor();
}

/** Presses a button by its words. */
export async function press(page, name) {
  await button(page, name).click();
}

/** Fills a field by its label. */
export async function fill(page, label, value) {
  await page.getByLabel(label, { exact: true }).fill(value);
}

/** Signs in to the console. */
export async function signIn(visit, { email, password } = ADMIN) {
  await visit.go('/login');
  await signInHere(visit, { email, password });
  await button(visit.page, 'Sign out').waitFor();
}

/** Signs in on the sign-in page that is open. */
export async function signInHere({ page }, { email, password } = ADMIN) {
  await fill(page, 'Email', email);
  await fill(page, 'Password', password);
  await press(page, 'Sign in');
}

/** Chooses a card of a new provider: with script the form changes at once, without it a button does it. */
export async function chooseOption(page, option, heading) {
  // Script hides the button as soon as it is there.
  await page.waitForLoadState('load');
  await option.check();
  const button = page.getByRole('button', { name: 'Use this template' });
  if (await button.isVisible()) await press(page, 'Use this template');
  await page.getByRole('heading', { level: 2, name: heading }).waitFor();
}

/** Without script: asks for the page again until it no longer offers *Refresh*, as a person does. */
export async function refreshUntilOver(page) {
  const refresh = page.getByRole('link', { name: 'Refresh' });
  const late = Date.now() + 150_000;
  // Whole pages on both sides of the press: a link that has not come yet looks like the end, and the end of an earlier page's loading
  // would pass for the new one.
  await page.waitForLoadState('load');
  while (await refresh.count()) {
    assert.ok(Date.now() < late, 'it does not end');
    await Promise.all([page.waitForEvent('load'), refresh.click()]);
  }
}

/** At the provider: picks an account, listed or not. */
export async function pick(page, address) {
  await page.waitForURL(`${rig.issuer}/**`);
  const listed = page.getByRole('button', { name: address, exact: true });
  if (await listed.count()) {
    await listed.click();
    return;
  }
  await page.getByLabel('Email').fill(address);
  await page.getByLabel('Password').fill('anything');
  await press(page, 'Sign in');
}

/** At the provider: allows what is asked for. */
export async function allow(page) {
  await arrive(page, 'Permissions requested');
  await press(page, 'Allow');
}

/** A configuration file with one provider of the rig, and with a token and a mailbox for each of `people`. */
export function configuration({ provider, clientId, people = [] }) {
  const lines = [
    `[[provider]]
name = "${provider}"
template = "custom"
issuer = "${rig.issuer}"
client_id = "${clientId}"
client_auth = "secret_basic"
client_secret = "${SECRET}"
scopes = ["offline_access", "${READ}", "${SEND}"]`,
  ];
  for (const { name, address, token, host, port, tags = [], displayName = '' } of people) {
    lines.push(`[[token]]
name = "${name}"
provider = "${provider}"
grant = "authorization_code"
user = "${address}"
scopes = ["offline_access", "${READ}", "${SEND}"]
${token ? `refresh_token = "${token}"` : ''}

[[mailbox]]
name = "${name}"
address = "${address}"
display_name = "${displayName}"
tags = ${JSON.stringify(tags)}
[mailbox.incoming]
protocol = "imap"
host = "${host ?? rig.host}"
port = ${port ?? rig.ports.imaps}
security = "${port ? 'none' : 'tls'}"
auth = "oauth2"
token = "${name}"
[mailbox.outgoing]
protocol = "smtp"
host = "${rig.host}"
port = ${rig.ports.submissions}
security = "tls"
auth = "oauth2"
token = "${name}"`);
  }
  return lines.join('\n\n');
}

/** A form came back: the title says so, the summary has the keyboard and names every error in the words at its field. */
export async function refused(visit, title, messages) {
  const { page } = visit;
  const summary = page.getByRole('alert').filter({ hasText: 'There is a problem' });
  await summary.waitFor();
  assert.ok((await page.title()).startsWith(`Error: ${title}`), await page.title());
  const links = summary.getByRole('link');
  const words = await links.allInnerTexts();
  assert.equal(words.length, messages.length, words.join(' | '));
  for (const [i, message] of messages.entries()) {
    assert.match(words[i], message);
    const field = page.locator(await links.nth(i).getAttribute('href'));
    assert.equal(await field.getAttribute('aria-invalid'), 'true', `${words[i]} is marked at its field`);
    const said = await page.locator(`#${(await field.getAttribute('aria-describedby')).trim().split(/\s+/).at(-1)}`).textContent();
    assert.ok(said.includes(words[i]), said);
  }
  if (visit.script) assert.ok(await summary.evaluate((element) => element === document.activeElement), 'the summary has the keyboard');
  await sound(page);
  await axe(visit);
}
