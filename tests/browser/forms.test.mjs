// Nothing typed is lost: to a session that ended meanwhile, to somebody else's change, to a mistake (`ux.md` 8.6 to 8.8).
// This console stands on PostgreSQL, where a test can end sessions as time would.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { axe, launch, shot, sound, visit } from './browser.mjs';
import { Console } from './console.mjs';
import { register, rig } from './rig.mjs';
import { arrive, configuration, fill, press, signIn, signInHere } from './steps.mjs';

const database = `browser_${randomBytes(4).toString('hex')}`;
const databaseUrl = rig.postgres_url.replace(/\/[^/]*$/, `/${database}`);
const sql = (url, text) => execFileSync('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-c', text, url]);
const endSessions = () => sql(databaseUrl, 'UPDATE sessions SET expires_at = 1');

let browser;
let console;
before(async () => {
  sql(rig.postgres_url, `CREATE DATABASE ${database}`);
  [browser, console] = await Promise.all([launch(), Console.start({ MAILGRANT_DATABASE_URL: databaseUrl })]);
  await console.addAdmin();
  await console.apply(configuration({ provider: 'contoso', clientId: await register(console.origin, 'contoso') }));
});
after(async () => {
  await browser?.close();
  await console?.stop();
  sql(rig.postgres_url, `DROP DATABASE ${database}`);
});

for (const script of [true, false]) {
  test(`what was typed into a provider form comes back after the session ended, ${script ? 'with' : 'without'} script`, async () => {
    await visit(browser, console, { script, width: script ? 1280 : 390 }, async (browsing) => {
      const { page } = browsing;
      const name = `typed-${script ? 'with' : 'without'}`;
      await signIn(browsing);
      await browsing.go('/providers/new?template=custom');
      await arrive(page, 'Add provider');
      await fill(page, 'Name', name);
      await fill(page, 'Client ID', 'a client id that took long to find');
      await fill(page, 'Client secret', 'a secret typed once');
      endSessions();
      await press(page, 'Save without checking');

      await arrive(page, 'Sign in');
      await page.getByText('Your session ended. Sign in and everything you typed comes back').waitFor();
      await shot(page, `forms-ended-${script}`);
      await signInHere(browsing);
      await arrive(page, 'Add provider');
      await page.getByText('Nothing is saved yet').waitFor();
      assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), name);
      assert.equal(await page.getByLabel('Client ID').inputValue(), 'a client id that took long to find');
      await sound(page);
      await axe(browsing);
      await browsing.go('/providers');
      assert.equal(await page.getByText(name).count(), 0, 'nothing was saved');
    });
  });
}

test('another card changes the form at once, and a secret that was typed stays without leaving the page', async () => {
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await browsing.go('/providers/new?template=microsoft');
    await fill(page, 'Name', 'litware');
    await fill(page, 'Client secret', 'canary secret');
    const sent = [];
    page.on('request', (request) => sent.push(request.postData() ?? ''));
    await page.getByRole('radio', { name: /^App-only, client secret/ }).check();
    await arrive(page, 'Add provider');
    await page.getByRole('heading', { name: 'Microsoft 365, app-only, client secret' }).waitFor();
    assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'litware');
    assert.equal(await page.getByLabel('Client secret', { exact: true }).inputValue(), 'canary secret');
    assert.ok(sent.length > 0 && !sent.join().includes('canary'));
    await page.getByRole('radio', { name: /^Service account/ }).check();
    await page.getByRole('heading', { name: 'Google, service account' }).waitFor();
    await axe(browsing);
    // The form takes files now.
    await page.getByLabel('As a file', { exact: true }).setInputFiles({ name: 'key.json', mimeType: 'application/json', buffer: Buffer.from('{}') });
    browsing.expect(422);
    await press(page, 'Save without checking');
    await arrive(page, 'Add provider');
    assert.match(await page.locator('.summary').innerText(), /so it isn't the key of a service account/);
  });
});

test('two tabs that edit one provider: the later one is asked, field by field', async () => {
  await visit(browser, console, {}, async (browsing) => {
    const { page, context } = browsing;
    await signIn(browsing);
    await browsing.go('/providers/contoso/edit');
    const tab = await context.newPage();
    await tab.goto('/providers/contoso/edit');

    await fill(tab, 'Client ID', 'theirs');
    await press(tab, 'Save without checking');
    await arrive(tab, 'contoso');

    browsing.expect(409);
    await fill(page, 'Client ID', 'yours');
    await press(page, 'Save without checking');
    await page.getByRole('heading', { name: 'Theirs and yours' }).waitFor();
    await sound(page);
    await axe(browsing);
    await shot(page, 'forms-conflict');
    await page.getByLabel('Theirs: theirs').check();
    await press(page, 'Save these');
    await arrive(page, 'contoso');
    await page.locator('#client', { hasText: 'theirs' }).waitFor();
  });
});
