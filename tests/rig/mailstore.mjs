// Puts messages into the Maildirs that Dovecot serves: the seed of the rig, and more where a test asks for them.
// usage: node mailstore.mjs MAIL_DIR        writes the seed
import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Debian's user and group `mail`, as which Dovecot opens the mailboxes. */
const MAIL = 8;

let count = 0;

function folderDir(base, address, folder) {
  let at = base;
  for (const part of [address, 'Maildir', ...(folder === 'INBOX' ? [] : [`.${folder}`])]) {
    at = join(at, part);
    mkdirSync(at, { recursive: true, mode: 0o700 });
    chownSync(at, MAIL, MAIL);
  }
  for (const sub of ['cur', 'new', 'tmp']) {
    mkdirSync(join(at, sub), { recursive: true, mode: 0o700 });
    chownSync(join(at, sub), MAIL, MAIL);
  }
  return at;
}

/** Makes the folder, with nothing in it. */
export const makeFolder = (base, address, folder = 'INBOX') => void folderDir(base, address, folder);

/** Stores one message; returns its size in bytes as IMAP counts it. */
export function deliver(base, { address, folder = 'INBOX', seen = false, subject = 'A message', from = 'Customer <customer@elsewhere.test>', date = new Date(), size = 0 }) {
  const dir = folderDir(base, address, folder);
  const id = `${Math.floor(date.getTime() / 1000)}.${process.pid}_${++count}_${randomBytes(4).toString('hex')}.rig`;
  const head = [
    `From: ${from}`,
    `To: <${address}>`,
    `Subject: ${subject}`,
    `Date: ${date.toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${id}@elsewhere.test>`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    '',
    'Good morning,',
    'this message was put here for a test.',
  ];
  const line = 'x'.repeat(76);
  for (let bytes = head.join('\r\n').length; bytes + 78 <= size; bytes += 78) head.push(line);
  const text = `${head.join('\r\n')}\r\n`;
  const name = `${id},S=${Buffer.byteLength(text)}:2,${seen ? 'S' : ''}`;
  writeFileSync(join(dir, 'tmp', name), text, { mode: 0o600 });
  chownSync(join(dir, 'tmp', name), MAIL, MAIL);
  renameSync(join(dir, 'tmp', name), join(dir, 'cur', name));
  return Buffer.byteLength(text);
}

/** The mailboxes every rig starts with; README.md lists them. */
function seed(base) {
  const hours = (n) => new Date(Date.now() - n * 3_600_000);
  const many = (address, messages) => messages.forEach((message, i) => deliver(base, { address, date: hours(messages.length - i), ...message }));
  many('support@rig.test', [
    { subject: 'Printer on the third floor', seen: true },
    { subject: 'VPN drops every hour', seen: true },
    { subject: 'New laptop wanted' },
    { subject: '=?UTF-8?Q?Kalenteri_ei_p=C3=A4ivity?=' },
    { subject: 'Password forgotten' },
  ]);
  many('support@rig.test', [
    { folder: 'Junk', subject: 'You have won', seen: true },
    { folder: 'Junk', subject: 'Cheap watches' },
  ]);
  many('hr@rig.test', [
    { subject: 'Holiday request', seen: true },
    { subject: 'Sick note', seen: true },
  ]);
  many('big@rig.test', [
    { subject: 'A small one', seen: true },
    { subject: 'The scanned contract', size: 3_000_000 },
    { subject: 'Another small one' },
  ]);
  many('maija.korhonen@rig.test', [{ subject: 'Welcome', seen: true }]);
  many('shared@rig.test', [{ subject: 'To all of us' }]);
  many('plain@rig.test', [{ subject: 'For the one with a password' }]);
  makeFolder(base, 'empty@rig.test');
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) seed(process.argv[2]);
