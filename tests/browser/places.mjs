// Every page of the console, and what has to be there for it to be seen: for pages.test.mjs and for pictures.mjs.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { visit } from './browser.mjs';
import { Console } from './console.mjs';
import { READ, SEND, control, register, rig, somebody } from './rig.mjs';
import { allow, arrive, chooseOption, configuration, fill, pick, press, refreshUntilOver, signIn } from './steps.mjs';
import { Turnstile } from './turnstile.mjs';

/** Looks at everything and changes nothing. */
export const VIEWER = { email: 'ville@rig.test', password: 'a birch behind the house' };

// A name as long as names may be.
const LONG = 'a-mailbox-with-a-name-that-is-as-long-as-names-are-allowed-to-b';
const SCOPE = `openid email profile offline_access ${READ} ${SEND}`;
const day = (days) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

const file = (name) => readFileSync(new URL(`../data/${name}`, import.meta.url), 'utf8');
const serviceAccount = () =>
  JSON.stringify({
    type: 'service_account',
    client_email: 'mail-console@project-of-the-whole-group-123456.iam.gserviceaccount.com',
    client_id: '117000000000000000001',
    private_key_id: '0123456789abcdef0123456789abcdef01234567',
    private_key: generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } }).privateKey,
  });

/** What is not of the rig: a password, and known providers with dates. Nobody connects to these. */
const others = () => `
[[mailbox]]
name = "old"
address = "${rig.users.plain}"
display_name = "Old support"
[mailbox.incoming]
protocol = "imap"
host = "${rig.host}"
port = ${rig.ports.imaps}
security = "tls"
auth = "password"
password = "${rig.plain_password}"

[[provider]]
name = "microsoft"
template = "microsoft"
tenant = "contoso.onmicrosoft.com"
client_id = "11112222-bbbb-3333-cccc-4444dddd5555"
client_secret = "a value from the Value column"
client_secret_expires = "${day(12)}"

[[provider]]
name = "google"
template = "google"
client_id = "123456789012-abcdefghijklmnop.apps.googleusercontent.com"
client_secret = "another value"
consent_screen = "testing"
client_secret_expires = "${day(71)}"

[[provider]]
name = "litware"
template = "microsoft"
tenant = "litware.onmicrosoft.com"
client_id = "22223333-bbbb-4444-cccc-5555dddd6666"
client_auth = "certificate"
certificate = """
${file('certificates/pkcs8.pem')}"""
grant = "client_credentials"
scopes = ["https://graph.microsoft.com/.default"]

[[provider]]
name = "workspace"
template = "google"
tenant = "contoso.test"
grant = "jwt_bearer"
service_account = '${serviceAccount()}'
`;

/** A console with providers, tokens, mailboxes, runs, sign-ins and links in every state there is, and the `places` that show them. */
export async function furnished(browser) {
  const console = await Console.start();
  const turnstile = await Turnstile.before(rig.ports.imap);
  const stop = () => Promise.all([console.stop(), turnstile.close()]);
  try {
    await console.addAdmin();
    await console.command(['user', 'add', VIEWER.email, '--role', 'viewer', '--password-stdin'], `${VIEWER.password}\n`);
    const contoso = await register(console.origin, 'contoso');
    const fabrikam = await register(console.origin, 'fabrikam', { drop_scopes: [SEND] });
    const person = async (name, start, client, more = {}) => {
      const address = await somebody(start, 3);
      const grant = more.nobody ? {} : await control('/grant', { client_id: client, account: address, scope: SCOPE });
      return { name, address, token: grant.refresh_token, tags: ['helpdesk'], displayName: 'Contoso Support', ...more };
    };
    const [works, long, fails, nobody, slow, poor] = await Promise.all([
      person('works', 'support', contoso, { tags: ['helpdesk', 'finland'] }),
      person(LONG, 'returns.and.complaints.of.the.whole.contoso.group', contoso, { tags: ['a-tag-of-some-length', 'sales', 'finland', 'helpdesk'] }),
      person('fails', 'hr', contoso, { host: '127.0.0.9', displayName: 'Human resources' }),
      person('nobody', 'info', contoso, { nobody: true, displayName: '', tags: [] }),
      person('slow', 'sales', contoso, { port: turnstile.port, tags: [] }),
      person('poor', 'accounts', fabrikam, { tags: [] }),
    ]);
    await console.apply(configuration({ provider: 'contoso', clientId: contoso, people: [works, long, fails, nobody, slow] }));
    await console.apply(configuration({ provider: 'fabrikam', clientId: fabrikam, people: [poor] }));
    await console.apply(others());
    await console.command(['mailbox', 'test', 'works', '--outgoing']);
    await control('/mail', { address: works.address, folder: 'Junk', count: 3, subject: 'Re: Invoice 4711 of the third quarter, with a subject that goes on' });
    await control('/mail', { address: works.address, count: 1, size: 26_000_000, subject: 'Photos of the damage' });
    for (const folder of ['Archive', 'Tickets of the third quarter']) await control('/mail', { address: works.address, folder, count: 0 });
    // A test that fails is a status other than 0, and here what is wanted.
    for (const name of ['works', 'fails', 'old', LONG, 'poor']) await console.command(['mailbox', 'test', name, '--incoming']).catch(() => {});
    const seen = await history(browser, console, { works, nobody, poor, turnstile });
    return { console, stop, places: places({ ...seen, works, turnstile }) };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What only people leave behind: sign-ins that came back wrong, links, checks, a pause. Resolves to the addresses of it. */
async function history(browser, console, { works, nobody, poor, turnstile }) {
  const seen = {};
  await visit(browser, console, { script: false }, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    const leave = async (name) => {
      await page.goto(`/tokens/${name}`);
      await page.getByLabel('At the sign-in page').selectOption('select_account');
      await press(page, 'Get authorization token');
      await page.getByRole('link', { name: /^Continue to/ }).click();
    };
    const link = async (name) => {
      await page.goto(`/tokens/${name}`);
      await press(page, 'Send them a sign-in link');
      return new URL((await page.locator('#link').innerText()).trim()).pathname;
    };
    // Whoever gets a link opens it in a browser that nobody here is signed in to.
    const follow = async (path, account) => {
      let done;
      await visit(browser, console, { script: false }, async (stranger) => {
        await stranger.go(path);
        await press(stranger.page, `Sign in as ${nobody.address}`);
        await stranger.page.getByRole('link', { name: /^Continue to/ }).click();
        await pick(stranger.page, account);
        await allow(stranger.page);
        await stranger.page.waitForURL(/\/l\/done\//);
        done = stranger.path();
      });
      return done;
    };

    await leave('works');
    await pick(page, rig.users.maija);
    await allow(page);
    await arrive(page, /^You signed in as/);
    seen.different = browsing.path();

    await leave('works');
    await press(page, 'Cancel');
    await arrive(page, 'You came back without signing in');
    seen.cancelled = browsing.path();

    await leave('poor');
    await pick(page, poor.address);
    await allow(page);
    await page.waitForURL(/\/tokens\/poor/);
    seen.missing = browsing.path();

    seen.withdrawn = await link('nobody');
    await press(page, 'Withdraw it');
    seen.ready = await link('works');
    seen.linkRefused = await follow(await link('nobody'), rig.users.maija);
    seen.used = await link('nobody');
    seen.linkDone = await follow(seen.used, nobody.address);
    seen.open = await link('works');

    await page.goto('/tests/new?which=filter&q=tag%3Ahelpdesk');
    await press(page, 'Start the tests');
    await page.waitForURL(/\/tests\/batches\//);
    seen.batch = new URL(page.url()).pathname;
    await refreshUntilOver(page);
    // Both directions of two that fail for causes of their own.
    await page.goto('/mailboxes');
    for (const name of [/^Tick hr/, /^Tick accounts/]) await page.getByLabel(name).check();
    await page.getByRole('button', { name: /^Test those/ }).click();
    await page.getByLabel('Incoming and outgoing').check();
    await press(page, 'Count again');
    await press(page, 'Start the tests');
    await page.waitForURL(/\/tests\/batches\//);
    seen.causes = new URL(page.url()).pathname;
    await refreshUntilOver(page);
    seen.paused = await pausedBatch(page, turnstile);
    await page.goto('/mailboxes?q=tag%3Ahelpdesk');
    await page.getByLabel(/^Select all/).check();
    await page.getByLabel('Tag to add or remove').fill('looked-at');
    await press(page, 'Add tag');
    seen.bulk = (await page.locator('.flash form').getAttribute('action')).replace(/\/undo$/, '');

    seen.runs = {};
    for (const [key, query] of Object.entries({ outgoing: 'mailbox=works&direction=outgoing', incoming: 'mailbox=works&direction=incoming', failed: 'mailbox=fails', password: 'mailbox=old' })) {
      await page.goto(`/tests?${query}`);
      seen.runs[key] = await page.locator('main table a').first().getAttribute('href');
    }
    // A message of a run that was moved.
    await page.goto(`${seen.runs.incoming}/move/junk/2`);
    await press(page, 'Move to inbox');
    await page.getByText('The message was moved to the inbox.').waitFor();
    seen.walkthroughs = {};
    for (const [kind, fields] of Object.entries({
      'microsoft-user': { Mailbox: 'returns.and.complaints.of.the.whole.contoso.group@contoso.onmicrosoft.com', 'Name of the provider': 'a-provider-with-a-name-that-is-as-long-as-names-are-allowed-to' },
      'google-user': { Mailbox: 'help@contoso.test', 'Name of the provider': 'walked' },
      other: { Mailbox: works.address, 'Name of the provider': 'walked' },
    })) {
      await page.goto(`/walkthroughs/new?template=${kind}`);
      for (const [label, value] of Object.entries(fields)) await fill(page, label, value);
      await press(page, 'Start');
      await page.getByText('Started.').waitFor();
      seen.walkthroughs[kind] = browsing.path();
    }
    // One with a provider, its steps in several states; one that waits for somebody.
    await page.locator('#provider').selectOption('contoso');
    await press(page, 'Use it');
    await press(page, 'Check now');
    await page.goto(`${seen.walkthroughs['google-user']}?step=1`);
    await press(page, "I've done this");
    await page.goto(`${seen.walkthroughs['google-user']}?step=7`);
    await page.locator('#to').fill('jari.salo@contoso.test');
    await press(page, 'Write the request');
    await arrive(page, 'Words to send');
    await page.goto('/transfer/import');
    await brought(page);
    seen.imported = browsing.path();
    await page.goto('/settings/notifications');
    await fill(page, 'Recipients (optional)', 'the.people.on.duty.in.the.whole.contoso.group@contoso.onmicrosoft.com\nann@contoso.test');
    // Nobody listens there.
    await fill(page, 'Address (optional)', 'http://127.0.0.1:9/hooks/a-path-that-nobody-knows');
    await press(page, 'Save');
    await arrive(page, 'Webhook secret');
    await page.goto('/settings/notifications');
    await press(page, 'Send a test to the webhook');
    await page.getByRole('heading', { name: "The test didn't get through" }).waitFor();
    seen.notified = { tested: new URL(page.url()).pathname + new URL(page.url()).search };
    seen.notified.delivery = await page.locator('#tested a').first().getAttribute('href');
    await page.goto('/providers/contoso');
    await press(page, 'Check now');
    await page.goto('/mailboxes/old/pause');
    await fill(page, 'Reason (optional)', 'Replaced by the new address in May.');
    await press(page, 'Pause');
  });
  return seen;
}

/** The pages of a furnished console: `path`, and how to get there where a path alone doesn't (`open`); `status` of an answer that is an
    error; `as` for whom; `close` afterwards; `inPlace`: what opens it leads to no new page, with script or 'always'; `live`: changes while it is looked at, and so is judged by live.test.mjs. */
function places(seen) {
  const { works, runs, turnstile, batch, bulk, causes, paused } = seen;
  const at = (path, more = {}) => ({ name: slug(path), path, ...more });
  const named = (name, path, more = {}) => ({ name, path, ...more });
  return [
    at('/'),
    at('/expiry'),
    at('/findings'),
    at('/about'),
    at('/about/licences'),
    at('/expiry?kind=certificate&within=7'),
    at('/mailboxes'),
    at('/mailboxes?size=25&sort=address&q=a'),
    at('/mailboxes?state=failing&tag=helpdesk&provider=contoso'),
    at('/mailboxes?q=nothing-has-this-name'),
    at('/mailboxes?state=partly'),
    at('/mailboxes/new'),
    named('mailboxes-suggestion', `/mailboxes/new?address=somebody%40gmail.com`),
    at('/mailboxes/new?address=somebody%40example.test&hand=1'),
    at('/mailboxes/works'),
    named('mailboxes-long', `/mailboxes/${LONG}`),
    at('/mailboxes/fails'),
    at('/mailboxes/old'),
    at('/mailboxes/nobody'),
    named('mailboxes-long-edit', `/mailboxes/${LONG}/edit`),
    named('mailboxes-refused', '/mailboxes/works/edit', { status: 422, open: refusedMailbox }),
    named('mailboxes-tried', '/mailboxes/fails/edit', { open: (page) => press(page, 'Test without saving') }),
    named('mailboxes-conflict', '/mailboxes/works/edit', { status: 409, open: conflict }),
    at('/mailboxes/works/test/incoming'),
    at('/mailboxes/works/test/outgoing'),
    at('/mailboxes/works/pause'),
    named('mailboxes-long-delete', `/mailboxes/${LONG}/delete`),
    named('mailboxes-delete-refused', '/mailboxes/works/delete', { status: 422, open: (page) => press(page, `Delete ${works.address}`) }),
    at('/tests'),
    at('/tests/new'),
    named('tests-new-filter', '/tests/new?which=filter&q=state%3Afailing'),
    named('tests-new-refused', '/tests/new', { status: 422, open: async (page) => { await page.getByLabel('At the same time').fill('99'); await press(page, 'Start the tests'); } }),
    named('batches', '/tests/batches'),
    named('batch', batch),
    named('batch-viewer', batch, { as: VIEWER }),
    named('batch-failed', `${batch}/mailboxes?state=failed`),
    named('batch-bundle', `${batch}/bundle`),
    named('batch-causes', causes),
    named('batch-nothing', `${batch}/mailboxes?state=skipped`),
    named('batch-paused', paused),
    named('batch-paused-viewer', paused, { as: VIEWER }),
    named('batch-running', '/tests/new?which=filter&q=slow', { live: true, open: (page) => runningBatch(page, turnstile), close: () => turnstile.open() }),
    named('bulk-act', bulk),
    named('bulk-refused', '/mailboxes', { status: 422, open: refusedTag }),
    named('bulk-tagged', '/mailboxes?q=works', { open: (page) => tagged(page, `looked-at-${(tags += 1)}`) }),
    at('/tests?outcome=failed'),
    at('/tests?mailbox=nobody'),
    named('run-incoming', runs.incoming),
    named('run-messages', `${runs.incoming}/messages`),
    named('move-inbox', `${runs.incoming}/move/junk/0`),
    named('move-folder', `${runs.incoming}/move/oversized/0`),
    named('move-refused', `${runs.incoming}/move/oversized/0`, { status: 422, open: (page) => press(page, 'Move to this folder') }),
    named('move-moved', `${runs.incoming}/move/junk/2`),
    named('move-viewer', `${runs.incoming}/move/junk/0`, { as: VIEWER, status: 403 }),
    named('run-outgoing', runs.outgoing),
    named('run-bundle', `${runs.incoming}/bundle`),
    named('run-bundle-names-hidden', `${runs.incoming}/bundle?names=hidden`, { as: VIEWER }),
    named('token-bundle', '/tokens/works/bundle'),
    named('provider-bundle', '/providers/microsoft/bundle'),
    at('/explain'),
    at('/explain?text=AADSTS50011'),
    named('explain-unknown', '/explain', { open: (page) => explain(page, 'Good morning, no mail came since Tuesday.') }),
    named('explain-removed', '/explain', { open: (page) => explain(page, 'invalid_grant Bearer AAbb0011ccDD22eeFF33ggHH\nSubject: Hello') }),
    named('explain-refused', '/explain', { status: 422, open: (page) => press(page, 'Explain') }),
    at('/search'),
    at('/search?q=rig.test'),
    at('/search?q=nobody+has+this+name'),
    named('run-failed', runs.failed),
    named('run-password', runs.password),
    named('run-running', '/mailboxes/slow/test/incoming', { live: true, open: (page) => running(page, turnstile), close: () => turnstile.open() }),
    at('/providers'),
    at('/providers/new?template=microsoft'),
    named('providers-refused', '/providers/new?template=microsoft', { status: 422, open: refusedProvider }),
    at('/providers/new?template=google'),
    ...['microsoft-certificate', 'microsoft-secret', 'microsoft-password', 'google-service'].map((card) => named(`providers-card-${card}`, `/providers/new?card=${card}`)),
    named('providers-card-chosen', '/providers/new', { inPlace: true, open: (page) => chooseCard(page, 'Service account') }),
    named('providers-card-refused-certificate', '/providers/new?card=microsoft-certificate', { status: 422, open: (page) => press(page, 'Save without checking') }),
    named('providers-card-refused-service', '/providers/new?card=google-service', { status: 422, open: refusedService }),
    at('/providers/new?template=zoho'),
    at('/providers/new?template=custom'),
    at('/providers/contoso'),
    at('/providers/microsoft'),
    at('/providers/google'),
    at('/providers/litware'),
    at('/providers/litware/certificate'),
    at('/providers/workspace'),
    at('/providers/workspace/edit'),
    at('/providers/workspace/key'),
    named('providers-key-refused', '/providers/workspace/key', { status: 422, open: (page) => press(page, 'Replace key') }),
    at('/providers/contoso/edit'),
    at('/providers/contoso/secret'),
    at('/providers/contoso/delete'),
    at('/providers/microsoft/delete'),
    at('/tokens'),
    at('/tokens?state=unauthorized&missing=1'),
    at('/tokens/new'),
    at('/tokens/new?provider=microsoft'),
    at('/tokens/new?provider=workspace'),
    named('tokens-refused', '/tokens/new?provider=microsoft', { status: 422, open: refusedToken }),
    at('/tokens/works'),
    at('/tokens/nobody'),
    at('/tokens/poor'),
    named('tokens-long', `/tokens/${LONG}`),
    named('tokens-long-edit', `/tokens/${LONG}/edit`),
    named('tokens-long-remove', `/tokens/${LONG}/remove`),
    named('authorize-leave', '/tokens/works', { open: (page) => press(page, 'Get authorization token') }),
    named('authorize-different', seen.different),
    named('authorize-cancelled', seen.cancelled),
    named('authorize-missing', seen.missing),
    at('/oauth/returned/too-old'),
    at('/oauth/returned/unknown'),
    named('link-made', '/tokens/works', { open: (page) => press(page, 'Send them a sign-in link') }),
    named('link-open', seen.open),
    named('link-leave', seen.ready, { open: (page) => press(page, `Sign in as ${works.address}`) }),
    named('link-used', seen.used),
    named('link-withdrawn', seen.withdrawn),
    named('link-done', seen.linkDone),
    named('link-refused', seen.linkRefused),
    at('/walkthroughs'),
    at('/walkthroughs/new?template=shared-mailbox'),
    named('walkthroughs-refused', '/walkthroughs/new?template=microsoft-user', { status: 422, open: (page) => press(page, 'Start') }),
    named('walkthrough-begun', seen.walkthroughs['microsoft-user']),
    named('walkthrough-exchange', `${seen.walkthroughs['microsoft-user']}?step=6`),
    named('walkthrough-waiting', `${seen.walkthroughs['google-user']}?step=7`),
    named('walkthrough-provider', `${seen.walkthroughs.other}?step=1`),
    named('walkthrough-confirmed', `${seen.walkthroughs['google-user']}?step=1`),
    named('walkthrough-proved', `${seen.walkthroughs.other}?step=3`),
    named('walkthrough-sign-in', `${seen.walkthroughs.other}?step=4`),
    named('walkthrough-sent', `${seen.walkthroughs['microsoft-user']}?step=1`, { open: (page) => press(page, 'Write the request') }),
    named('walkthrough-delete', `${seen.walkthroughs.other}/delete`),
    named('viewer-walkthrough', seen.walkthroughs['google-user'], { as: VIEWER }),
    at('/settings/notifications'),
    named('notifications-refused', '/settings/notifications', { status: 422, open: refusedNotifications }),
    named('notifications-secret', '/settings/notifications', { inPlace: true, open: newWebhookSecret }),
    named('notifications-tested', seen.notified.tested),
    at('/settings/notifications/deliveries'),
    at('/settings/notifications/deliveries?state=unknown'),
    named('notifications-delivery', seen.notified.delivery),
    named('viewer-notifications', '/settings/notifications', { as: VIEWER }),
    at('/log'),
    at('/log?level=warn&range=day&size=25'),
    at('/log?live=on'),
    named('log-open', '/log', { inPlace: 'always', open: (page) => page.locator('tbody summary').first().click() }),
    named('log-nothing', '/log?until=2020-01-01'),
    named('log-refused', '/log?from=yesterday', { status: 422 }),
    at('/log/export?level=warn'),
    at('/settings'),
    at('/settings/general'),
    at('/settings/sign-in'),
    at('/settings/checks'),
    named('settings-refused', '/settings/checks', { status: 422, open: refusedSetting }),
    at('/settings/retention'),
    at('/settings/network'),
    at('/settings/encryption'),
    named('settings-address-set-outside', '/settings/general/address', { status: 409 }),
    at('/audit'),
    at('/audit?action=mailbox.test&person=command+line'),
    named('audit-open', '/audit', { inPlace: 'always', open: (page) => page.locator('tbody summary').first().click() }),
    named('audit-nothing', '/audit?object=nothing-has-this-name'),
    named('audit-refused', '/audit?until=never', { status: 422 }),
    at('/audit/export'),
    named('viewer-audit', '/audit?size=25', { as: VIEWER }),
    at('/transfer'),
    at('/transfer/import'),
    named('transfer-refused', '/transfer/import', { status: 422, open: (page) => bring(page, '[provider]\nname = "x"\n[token]\nname = "y"', /^Import$/) }),
    named('transfer-file-refused', '/transfer/import', { status: 422, open: refusedFile }),
    named('transfer-secrets-refused', '/transfer/import', { status: 422, open: (page) => bring(page, BROKEN, /^Import$/) }),
    named('transfer-report', seen.imported),
    named('transfer-undone', '/transfer/import', { open: (page) => brought(page).then(() => undone(page)) }),
    named('transfer-preview', '/transfer/import', { open: (page) => bring(page, BROUGHT, 'Preview of the import') }),
    at('/transfer/export'),
    at('/transfer/export?what=mailboxes&filter=tag%3Ahelpdesk'),
    named('transfer-export-refused', '/transfer/export?what=mailboxes&filter=tag%3Anobody', { status: 422, open: (page) => page.getByRole('button', { name: 'Export', exact: true }).click() }),
    at('/me'),
    at('/nowhere', { status: 404 }),
    at('/mailboxes/nobody-knows-this', { status: 404 }),
    named('viewer-overview', '/', { as: VIEWER }),
    named('viewer-expiry', '/expiry', { as: VIEWER }),
    named('viewer-mailbox', '/mailboxes/works', { as: VIEWER }),
    named('viewer-token', '/tokens/works', { as: VIEWER }),
    named('viewer-forbidden', '/mailboxes/new', { as: VIEWER, status: 403 }),
    // Last, because every page says so from here on.
    named('webhook-off', '/settings/notifications', { open: webhookThatIsGone }),
    named('webhook-off-overview', '/', { inPlace: 'always', open: (page) => untilItSays(page, '/', 'The webhook gets no notifications') }),
    named('webhook-off-everywhere', '/mailboxes', { inPlace: 'always', open: (page) => untilItSays(page, '/mailboxes', 'The webhook gets no notifications since') }),
    named('webhook-off-viewer', '/settings/notifications', { as: VIEWER }),
  ];
}

const slug = (path) => path.replaceAll(/[^a-z0-9]+/gi, '-').replace(/^-|-$/g, '').slice(0, 60) || 'overview';

async function explain(page, text) {
  await fill(page, 'Code or text', text);
  await press(page, 'Explain');
  await page.locator('#answer').waitFor();
}

async function refusedMailbox(page) {
  await fill(page, 'Email address', 'support at contoso');
  await fill(page, 'Default Bcc (optional)', 'archive');
  await press(page, 'Save');
}

/** One that is new, one that is here and differs, one with an error, and a column nobody knows. */
const BROUGHT = 'name,address,display_name,incoming.host,incoming.auth,room\nbrought,brought@contoso.test,,imap.contoso.test,password,12\nold,,Other words,,,\nwrong,wrong@contoso.test,,imap.contoso.test,magic,';

/** What can't be read, with secrets in it. */
const BROKEN = '[[provider]]\nname = "litware"\ntemplate = microsoft\nclient_secret = "a value from the Value column"\n\n[[token]]\nname = "litware"\nrefresh_token = "0.AXkA"\n';

async function refusedFile(page) {
  const file = { name: 'mailboxes.xlsx', mimeType: 'application/octet-stream', buffer: Buffer.from('PK\u0003\u0004') };
  await page.getByLabel('File', { exact: true }).setInputFiles(file);
  await press(page, 'Show what would change');
  await arrive(page, /^Import$/);
}

let imports = 0;
/** Mailboxes of a file, imported. */
async function brought(page) {
  const stem = `brought-${(imports += 1)}`;
  const rows = Array.from({ length: 3 }, (_, n) => `${stem}-${n}@contoso.test,imap.contoso.test,password`);
  const file = { name: 'mailboxes.csv', mimeType: 'text/csv', buffer: Buffer.from(['address,incoming.host,incoming.auth', ...rows, 'wrong,,'].join('\r\n')) };
  await page.getByLabel('File', { exact: true }).setInputFiles(file);
  await press(page, 'Show what would change');
  await arrive(page, 'Preview of the import');
  await press(page, 'Import 3 entries');
  await arrive(page, 'What was imported');
}

async function undone(page) {
  await press(page, 'Undo this import');
  await page.getByText('The import was undone.').waitFor();
}

async function bring(page, text, heading) {
  await fill(page, 'Or the text itself', text);
  await press(page, 'Show what would change');
  await arrive(page, heading);
}

async function refusedProvider(page) {
  await fill(page, 'Name', 'litware');
  await fill(page, 'Directory (tenant) ID', 'aaaabbbb-0000-cccc-1111-dddd2222eeee');
  await fill(page, 'Application (client) ID', '11112222-bbbb-3333-cccc-4444dddd5555');
  await fill(page, 'Client secret', '99998888-bbbb-3333-cccc-4444dddd5555');
  await press(page, 'Save without checking');
}

async function refusedNotifications(page) {
  await fill(page, 'Recipients (optional)', 'nobody');
  await fill(page, 'Quiet from (optional)', 'night');
  await press(page, 'Save');
}

async function webhookThatIsGone(page) {
  const gone = createServer((_, answer) => answer.writeHead(410).end());
  await new Promise((done) => gone.listen(0, '127.0.0.1', done));
  await fill(page, 'Address (optional)', `http://127.0.0.1:${gone.address().port}/hooks/gone`);
  await press(page, 'Save');
  await arrive(page, 'Webhook secret');
  await page.goto('/settings/notifications');
  await press(page, 'Send a test to the webhook');
  await page.getByRole('heading', { name: "The test didn't get through" }).waitFor();
  await page.goto('/settings/notifications');
  await page.getByText('The webhook is turned off.').waitFor();
  gone.close();
}

/** The console looks for what is new every quarter of a minute. */
async function untilItSays(page, path, words) {
  const told = page.getByText(words).first();
  for (let tries = 0; tries < 60 && (await told.count()) === 0; tries += 1) {
    await page.waitForTimeout(1000);
    await page.goto(path);
  }
  await told.waitFor();
}

async function newWebhookSecret(page) {
  await page.getByLabel('Make a new secret').check();
  await press(page, 'Save');
  await arrive(page, 'Webhook secret');
}

async function chooseCard(page, name) {
  await chooseOption(page, page.getByRole('radio', { name }), /service account/);
}

async function refusedService(page) {
  await fill(page, 'Or pasted', '{"web": {"client_id": "1"}}');
  await press(page, 'Save without checking');
}

async function refusedToken(page) {
  await fill(page, 'Account that must sign in', 'support');
  await press(page, 'Save');
}

async function refusedSetting(page) {
  await fill(page, 'Interval', 'often');
  await press(page, 'Save');
}

let count = 0;
async function conflict(page) {
  const tab = await page.context().newPage();
  await tab.goto(page.url());
  await fill(tab, 'Display name (optional)', `Theirs, ${(count += 1)}`);
  await press(tab, 'Save');
  await arrive(tab, /@/);
  await tab.close();
  await fill(page, 'Display name (optional)', 'Yours');
  await press(page, 'Save');
}

let tags = 0;
async function tagged(page, tag) {
  await page.getByLabel(/^Select all/).check();
  await page.getByLabel('Tag to add or remove').fill(tag);
  await press(page, 'Add tag');
}

async function refusedTag(page) {
  await page.getByLabel(/^Tick hr/).check();
  await page.getByLabel('Tag to add or remove').fill('two words');
  await press(page, 'Add tag');
}

/** A bulk test of one mailbox that is held at its door. */
async function runningBatch(page, turnstile) {
  const held = turnstile.hold(/EXAMINE/);
  await press(page, 'Start the tests');
  await page.waitForURL(/\/tests\/batches\//);
  await held;
  await page.getByRole('heading', { name: /^Running/ }).waitFor();
}

/** One of two, one after the other, that is paused while the first runs, which then ends; its address. */
async function pausedBatch(page, turnstile) {
  await page.goto('/mailboxes');
  for (const name of [/^Tick sales/, /^Tick support/]) await page.getByLabel(name).check();
  await page.getByRole('button', { name: /^Test those/ }).click();
  await page.getByLabel('At the same time').fill('1');
  await page.getByLabel('Note (optional)').fill('Before the move to the new servers');
  await press(page, 'Count again');
  const held = turnstile.hold(/EXAMINE/);
  await press(page, 'Start the tests');
  await page.waitForURL(/\/tests\/batches\//);
  await held;
  await press(page, 'Pause');
  turnstile.open();
  for (let i = 0; i < 100 && !(await page.getByText('1 of 2 tests done').count()); i += 1) {
    await page.waitForTimeout(200);
    await page.reload();
  }
  return new URL(page.url()).pathname;
}

async function running(page, turnstile) {
  const held = turnstile.hold(/EXAMINE/);
  await press(page, 'Test incoming');
  await page.waitForURL(/\/tests\//);
  await held;
  await page.getByRole('heading', { name: /^Running, step \d+ of \d+/ }).waitFor();
}
