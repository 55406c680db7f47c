// Prints the first of N consecutive ports that are free on the loopback addresses of the rig. They lie below the range the
// kernel gives to outgoing connections, so that nobody takes one by chance before its server has started.
// usage: node ports.mjs N
import { createServer } from 'node:net';

const ADDRESSES = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'];
const [FIRST, LAST] = [20000, 32000];

const free = (port, host) =>
  new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });

const wanted = Number(process.argv[2]);
for (let attempt = 0; attempt < 200; attempt += 1) {
  const first = FIRST + wanted * Math.floor((Math.random() * (LAST - FIRST)) / wanted);
  const ports = Array.from({ length: wanted }, (_, i) => first + i);
  const checks = await Promise.all(ports.flatMap((port) => ADDRESSES.map((host) => free(port, host))));
  if (checks.every(Boolean)) {
    console.log(first);
    process.exit(0);
  }
}
console.error('no free ports');
process.exit(1);
