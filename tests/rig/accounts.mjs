// The people known to the provider of the rig. Any address at rig.test is an account, so that a test can take one nobody
// else uses; the ones listed here also have a button on the sign-in page.
import { createHash } from 'node:crypto';

export const DOMAIN = 'rig.test';

/** The accounts with a button of their own on the sign-in page, and the names in their claims. */
export const LISTED = new Map([
  ['support@rig.test', 'Rig Support'],
  ['hr@rig.test', 'Human Resources'],
  ['maija.korhonen@rig.test', 'Maija Korhonen'],
  ['empty@rig.test', 'Empty Mailbox'],
  ['big@rig.test', 'Big Messages'],
]);

/** Which shared mailbox an account may open beside its own (full access, as Exchange calls it). */
const DELEGATES = new Map([['maija.korhonen@rig.test', 'shared@rig.test']]);

const bySubject = new Map();

/** The account of an address, or undefined: only addresses at rig.test exist, and nobody@rig.test does not. */
export function account(address) {
  const email = String(address ?? '').trim().toLowerCase();
  if (!/^[a-z0-9._%+'-]+@rig\.test$/.test(email) || email === `nobody@${DOMAIN}`) return undefined;
  const sub = createHash('sha256').update(email).digest('hex').slice(0, 24);
  const found = { sub, email, name: LISTED.get(email) ?? email.split('@')[0], shared: DELEGATES.get(email) };
  bySubject.set(sub, found);
  return found;
}

/** The account of a subject identifier handed out earlier. */
export const accountOf = (sub) => bySubject.get(sub);

/** What an ID token and the userinfo endpoint say of an account. An address that starts with "unverified" is not verified. */
export function claims(person) {
  return {
    sub: person.sub,
    email: person.email,
    email_verified: !person.email.startsWith('unverified'),
    name: person.name,
    preferred_username: person.email,
    tid: '6c1d7a52-0000-4000-8000-726967000001',
  };
}
