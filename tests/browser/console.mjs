// A console of its own for each test file: `mailgrant serve` on a free port with a fresh data directory, and the commands beside it.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { binary, newDatabase, query, rig, run } from './rig.mjs';

/** The first admin of every console here. */
export const ADMIN = { name: 'Aino Virtanen', email: 'aino@rig.test', password: 'a lake under thin ice' };

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

export class Console {
  log = '';

  /** Starts one and waits until it is ready. `env` adds settings. */
  static async start(env = {}) {
    const it = new Console();
    it.port = await freePort();
    it.origin = `http://localhost:${it.port}`;
    it.dir = mkdtempSync(join(tmpdir(), 'mg-console-'));
    it.env = {
      PATH: process.env.PATH,
      LC_ALL: 'C.UTF-8',
      TZ: 'UTC',
      MAILGRANT_DATA_DIR: join(it.dir, 'data'),
      MAILGRANT_LISTEN: `127.0.0.1:${it.port}`,
      MAILGRANT_BASE_URL: it.origin,
      MAILGRANT_ALLOW_NETWORKS: 'loopback',
      MAILGRANT_EXTRA_CA_FILE: rig.ca_file,
      ...env,
    };
    it.child = spawn(binary, ['serve'], { env: it.env, cwd: it.dir, stdio: ['ignore', 'pipe', 'pipe'] });
    it.child.stdout.on('data', (text) => (it.log += text));
    it.child.stderr.on('data', (text) => (it.log += text));
    it.ended = new Promise((resolve) => it.child.on('close', resolve));
    for (let tries = 0; tries < 600; tries += 1) {
      if (it.child.exitCode !== null) break;
      const ready = await fetch(`http://127.0.0.1:${it.port}/health/ready`).then((r) => r.ok, () => false);
      if (ready) return it;
      await sleep(50);
    }
    await it.stop();
    throw new Error(`the console did not get ready:\n${it.log}`);
  }

  /** Starts one on a PostgreSQL database of its own, which can be looked into while it runs. */
  static async startOnPostgres() {
    const url = await newDatabase();
    const it = await Console.start({ MAILGRANT_DATABASE_URL: url });
    it.database = url;
    return it;
  }

  /** The stored row of a token's grant, to the last byte; empty without one. */
  grant(token) {
    return query(this.database, `SELECT row_to_json(grants) FROM grants JOIN tokens ON tokens.id = grants.token_id WHERE tokens.name = '${token}'`);
  }

  /** The newest setup code in the log. */
  setupCode() {
    const codes = [...this.log.matchAll(/setup code[^\n]*?([A-Z0-9]{4}(?:-[A-Z0-9]{4})+)/gi)];
    if (!codes.length) throw new Error(`no setup code in the log:\n${this.log}`);
    return codes.at(-1)[1];
  }

  /** Runs a command on the same data directory. */
  command(args, input) {
    return run(binary, args, { env: this.env, input });
  }

  /** Makes the first admin without the setup pages. */
  addAdmin() {
    return this.command(['user', 'add', ADMIN.email, '--role', 'admin', '--password-stdin'], `${ADMIN.password}\n`);
  }

  /** Applies a configuration file. */
  apply(toml) {
    return this.command(['config', 'apply', '-'], toml);
  }

  /** Stops it, by its own process id, and removes its directory. */
  async stop() {
    if (this.child.exitCode === null) this.child.kill('SIGTERM');
    const late = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    await this.ended;
    clearTimeout(late);
    rmSync(this.dir, { recursive: true, force: true });
  }
}
