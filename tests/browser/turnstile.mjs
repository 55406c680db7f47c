// A door before a mail server that speaks plain text: everything passes, until a line of the client matches what a test waits for.
// That line and all behind it are held until the test opens the door, so "while it runs" is as long as the test needs.
import { createServer, connect } from 'node:net';

export class Turnstile {
  #pattern;
  #held = [];
  #reached = [];
  #sockets = new Set();

  /** Stands before `port` on 127.0.0.1. */
  static async before(port) {
    const it = new Turnstile();
    it.server = createServer((client) => it.#pass(client, connect(port, '127.0.0.1')));
    await new Promise((resolve) => it.server.listen(0, '127.0.0.1', resolve));
    it.port = it.server.address().port;
    return it;
  }

  #pass(client, server) {
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    server.pipe(client);
    let waits = Promise.resolve();
    client.on('data', (bytes) => {
      if (this.#pattern?.test(bytes.toString('latin1'))) {
        waits = new Promise((resolve) => this.#held.push(resolve));
        this.#reached.splice(0).forEach((resolve) => resolve());
      }
      waits.then(() => server.write(bytes));
    });
  }

  /** Closes the door to the next line that matches. */
  hold(pattern) {
    this.#pattern = pattern;
    return new Promise((resolve) => this.#reached.push(resolve));
  }

  /** Opens it for all who wait. */
  open() {
    this.#pattern = undefined;
    this.#held.splice(0).forEach((resolve) => resolve());
  }

  async close() {
    this.open();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
