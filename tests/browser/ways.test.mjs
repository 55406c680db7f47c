// From a failed test to its fix in a press: the form with the value put in, and the sign-in that helps (`ux.md` 6.6).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { axe, launch, shot, sound, visit } from './browser.mjs';
import { Console } from './console.mjs';
import { READ, SEND, control, register, rig, somebody } from './rig.mjs';
import { allow, arrive, configuration, pick, press, signIn } from './steps.mjs';

let browser;
let console;
const people = {};
before(async () => {
  [browser, console] = await Promise.all([launch(), Console.start()]);
  await console.addAdmin();
  const clientId = await register(console.origin, 'contoso');
  const [crossed, nobody] = await Promise.all([somebody('crossed', 3), somebody('nobody', 3)]);
  const { refresh_token: token } = await control('/grant', { client_id: clientId, account: crossed, scope: `openid email profile offline_access ${READ} ${SEND}` });
  Object.assign(people, { crossed, nobody });
  await console.apply(
    configuration({
      provider: 'contoso',
      clientId,
      people: [
        { name: 'crossed', address: crossed, token, port: rig.ports.imap },
        { name: 'nobody', address: nobody },
      ],
    }).replace('security = "none"', 'security = "tls"'),
  );
});
after(async () => {
  await browser?.close();
  await console?.stop();
});

const told = (page, name) => page.locator('#verdict').getByRole('heading', { name }).waitFor();

for (const script of [true, false]) {
  test(`a port with the wrong encryption is a press away from the form with the usual one, ${script ? 'with' : 'without'} script`, async () => {
    await visit(browser, console, { script, width: script ? 1280 : 390 }, async (browsing) => {
      const { page } = browsing;
      await signIn(browsing);
      await browsing.go('/mailboxes/crossed/test/incoming');
      await press(page, 'Test incoming');
      await told(page, 'This port begins in plain text, and TLS from the start is set');
      await sound(page);
      await axe(browsing);
      await shot(page, `ways-port-${script}`);
      await page.getByText('Why we think so').click();
      await page.getByText(/isn't encryption/).waitFor();
      await page.locator('#verdict').getByRole('link', { name: 'Use port 993 with TLS' }).click();
      await arrive(page, `Edit ${people.crossed}`);
      assert.equal(await page.locator('#incoming_port').inputValue(), '993');
      assert.equal(await page.locator('#incoming_security').inputValue(), 'tls');
      await page.getByText(/Nothing is saved yet/).waitFor();
      await axe(browsing);
    });
  });
}

test('where nobody has signed in the sign-in is a press away, and the first test follows it', async () => {
  await visit(browser, console, {}, async (browsing) => {
    const { page } = browsing;
    await signIn(browsing);
    await browsing.go('/mailboxes/nobody/test/incoming');
    await press(page, 'Test incoming');
    await told(page, 'Nobody has signed in yet');
    await axe(browsing);
    await page.locator('#verdict').getByRole('button', { name: 'Get authorization token' }).click();
    await arrive(page, `Sign in as ${people.nobody}`);
    await page.getByRole('link', { name: /^Continue to/ }).click();
    await pick(page, people.nobody);
    await allow(page);
    await page.waitForURL(/\/tokens\/nobody$/);
    await page.getByRole('link', { name: 'See the first mail test' }).click();
    await told(page, `${people.nobody} can be read`);
  });
});
