// What the browser tests know of the test rig: its rig.json, and its control server.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

/** Packages of the rig: playwright-core and axe-core live there. */
export const rigModules = createRequire(new URL('../rig/package.json', import.meta.url));

/** The scopes that open a mailbox of the rig. */
export const READ = 'https://outlook.office.com/IMAP.AccessAsUser.All';
export const SEND = 'https://outlook.office.com/SMTP.Send';

/** The secret of every client registered here. */
export const SECRET = 'rig-secret-of-the-browser-tests';

function setting(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; tests/run sets it`);
  return value;
}

/** The binary under test. */
export const binary = resolve(setting('MAILGRANT_BIN'));

/** rig.json. */
export const rig = JSON.parse(readFileSync(setting('MAILGRANT_TEST_RIG'), 'utf8'));

/** Leaves the mark that says Chromium really ran. */
export const markRun = () => writeFileSync(join(rig.ran, 'chromium'), '');

/** Runs a program to its end; resolves to its standard output. */
export function run(program, args, { env, input = '' } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (text) => (out += text));
    child.stderr.on('data', (text) => (err += text));
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(out) : reject(new Error(`${program} ${args.join(' ')} ended with ${code}: ${err}${out}`))));
    child.stdin.on('error', () => {}); // a program that reads nothing may be gone already
    child.stdin.end(input);
  });
}

/** What a statement yields in the rig's PostgreSQL, one row a line. */
export const query = (url, sql) => run('psql', ['--no-psqlrc', '-qAt', '--set=ON_ERROR_STOP=1', `--command=${sql}`, url]);

/** A new, empty database there. */
export async function newDatabase() {
  const name = `browser_${randomBytes(6).toString('hex')}`;
  await query(rig.postgres_url, `CREATE DATABASE ${name}`);
  return rig.postgres_url.replace(/[^/]*$/, name);
}

/** Asks the control server. */
export async function control(path, body) {
  const response = await fetch(rig.control_url + path, body && { method: 'POST', body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(`control server, ${path}: ${answer.error}`);
  return answer;
}

/** Registers a client whose sign-ins return to this console, as an admin does in the provider's own console. */
export async function register(origin, provider, options = {}) {
  const client_id = `browser-${randomBytes(4).toString('hex')}`;
  await control('/client', {
    client_id,
    client_secret: SECRET,
    token_endpoint_auth_method: 'client_secret_basic',
    redirect_uris: [`${origin}/oauth/callback/${provider}`],
    ...options,
  });
  return client_id;
}

/** An address nobody else uses, with a mailbox of `count` messages. */
export async function somebody(start, count = 2) {
  const address = `${start}-${randomBytes(3).toString('hex')}@${rig.domain}`;
  await control('/mail', { address, count, subject: 'A question' });
  return address;
}
