// The OpenID provider of the test rig: a real one (oidc-provider) with its own pages, made steerable through control.mjs.
// usage: node provider.mjs DIR PORT CONTROL_PORT    DIR holds tls/server.key and tls/server.pem
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { join } from 'node:path';
import { Provider, interactionPolicy } from 'oidc-provider';
import { account, accountOf, claims } from './accounts.mjs';
import { controlServer } from './control.mjs';
import { interactions } from './interactions.mjs';
import * as pages from './pages.mjs';
import * as registry from './registry.mjs';
import { Storage } from './storage.mjs';
import { tokenEndpoint } from './token_endpoint.mjs';

const [dir, port, controlPort] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const issuer = `https://localhost:${port}`;

/** Microsoft's scope for each mail protocol, and Google's, which opens all of them. */
const MAIL_SCOPES = {
  imap: 'https://outlook.office.com/IMAP.AccessAsUser.All',
  pop3: 'https://outlook.office.com/POP.AccessAsUser.All',
  smtp: 'https://outlook.office.com/SMTP.Send',
};
const GOOGLE_MAIL = 'https://mail.google.com/';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const policy = interactionPolicy.base();
policy.add(new interactionPolicy.Prompt({ name: 'select_account', requestable: true }), 0);

/** The scopes each account has allowed each client, so that consent is asked for once, as real providers do. */
const consents = new Map();
const consentKey = (accountId, clientId) => `${accountId} ${clientId}`;

/** Every authorization gets a grant of its own: when one is ended for reuse of a refresh token, others live on. */
async function grantFor(ctx) {
  const { provider, result, account: person, client } = ctx.oidc;
  if (result?.consent?.grantId) return provider.Grant.find(result.consent.grantId);
  const allowed = consents.get(consentKey(person.accountId, client.clientId));
  if (!allowed) return undefined;
  const grant = new provider.Grant({ accountId: person.accountId, clientId: client.clientId });
  grant.addOIDCScope([...allowed].join(' '));
  const dropped = registry.options(client.clientId).drop_scopes;
  if (dropped.length) grant.rejectOIDCScope(dropped.join(' '));
  await grant.save();
  return grant;
}

/** Puts `offline_access` back, which the library takes out unless consent is forced; and reads Google's way to ask for it. */
function keepOfflineAccess(ctx, accessType) {
  const asked = String(ctx.query.scope ?? ctx.oidc.body?.scope ?? '').split(' ');
  const kept = ctx.oidc.params.scope?.split(' ') ?? [];
  if ((asked.includes('offline_access') || accessType === 'offline') && !kept.includes('offline_access')) {
    ctx.oidc.params.scope = [...kept, 'offline_access'].join(' ');
  }
}

/** What the mail servers read in the introspection answer: for each protocol the mailbox that the token opens, and the shared
    one; an app's own token, which is nobody's, opens up to two that its client was given. A name no mailbox has stands for none: where
    it is missing Dovecot calls that a failure of its own. */
function mailClaims(_ctx, token) {
  const person = accountOf(token.accountId);
  const granted = new Set((token.scope ?? '').split(' '));
  const [own = 'none', shared = 'none'] =
    token.kind === 'ClientCredentials' ? registry.options(token.clientId).app_mailboxes : [person?.email, person?.shared];
  const claims = { email: person?.email };
  for (const [protocol, scope] of Object.entries(MAIL_SCOPES)) {
    const open = granted.has(scope) || granted.has(GOOGLE_MAIL);
    claims[`${protocol}_mailbox`] = open ? own : 'none';
    claims[`${protocol}_shared`] = open ? shared : 'none';
  }
  return claims;
}

const provider = new Provider(issuer, {
  adapter: Storage,
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', kid: 'rig' }] },
  clients: [
    {
      client_id: 'rig-introspection',
      client_secret: process.env.RIG_INTROSPECTION_SECRET,
      redirect_uris: [],
      response_types: [],
      grant_types: [],
    },
  ],
  scopes: ['openid', 'offline_access', 'email', 'profile', GOOGLE_MAIL, ...Object.values(MAIL_SCOPES)],
  claims: { openid: ['sub', 'tid'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username'] },
  conformIdTokenClaims: false,
  cookies: { keys: [randomBytes(24).toString('base64url')] },
  features: {
    devInteractions: { enabled: false },
    rpInitiatedLogout: { enabled: false },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    clientCredentials: { enabled: true },
    deviceFlow: {
      enabled: true,
      userCodeInputSource: (ctx, form, out) => void (ctx.body = pages.deviceCode(form, out)),
      userCodeConfirmSource: (ctx, form, client, _info, code) =>
        void (ctx.body = pages.deviceConfirm(form, client.clientId, code)),
      successSource: (ctx) => void (ctx.body = pages.deviceDone()),
    },
  },
  interactions: { policy, url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  extraParams: { access_type: keepOfflineAccess },
  findAccount(_ctx, sub) {
    const person = accountOf(sub);
    return person && { accountId: sub, claims: async () => claims(person) };
  },
  loadExistingGrant: grantFor,
  issueRefreshToken: async (_ctx, client, source) =>
    client.grantTypeAllowed('refresh_token') &&
    source.scopes.has('offline_access') &&
    !registry.options(client.clientId).no_refresh,
  expiresWithSession: async () => false,
  rotateRefreshToken: (ctx) => registry.options(ctx.oidc.client.clientId).rotate,
  extraTokenClaims: mailClaims,
  formats: {
    bitsOfOpaqueRandomness: (_ctx, token) =>
      ['AccessToken', 'ClientCredentials'].includes(token.kind) ? 6 * registry.options(token.clientId).token_length : 258,
  },
  ttl: {
    AccessToken: (_ctx, token) => registry.options(token.clientId).access_token_ttl,
    ClientCredentials: (_ctx, token) => registry.options(token.clientId).access_token_ttl,
    AuthorizationCode: 60,
    DeviceCode: 600,
    Grant: 14 * 86400,
    IdToken: 3600,
    Interaction: 3600,
    RefreshToken: 14 * 86400,
    Session: 86400,
  },
  renderError: (ctx, out) => {
    ctx.type = 'html';
    ctx.body = pages.failure(out);
  },
});

provider.use(tokenEndpoint(issuer));
provider.use(interactions(provider, {
  remember(accountId, clientId, scopes) {
    const key = consentKey(accountId, clientId);
    consents.set(key, new Set([...(consents.get(key) ?? []), ...scopes]));
  },
}));
provider.on('server_error', (_ctx, error) => console.error(error));

const forget = (matches) => {
  for (const key of consents.keys()) {
    const [accountId, clientId] = key.split(' ');
    if (matches({ accountId, clientId })) consents.delete(key);
  }
};

const tls = { key: readFileSync(join(dir, 'tls/server.key')), cert: readFileSync(join(dir, 'tls/server.pem')) };
const servers = [
  [https.createServer(tls, provider.callback()), port, '127.0.0.1'],
  [https.createServer(tls, provider.callback()), port, '::1'],
  [http.createServer(controlServer({ provider, account, forget, mail: join(dir, 'mail') })), controlPort, '127.0.0.1'],
];
for (const [server, number, host] of servers) {
  server.keepAliveTimeout = 120_000;
  server.on('error', (error) => {
    // A machine without IPv6 has no ::1; anywhere else a port that is taken is the end.
    if (host === '::1' && ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(error.code)) return;
    console.error(error.message);
    process.exit(1);
  });
  server.listen(number, host);
}
process.on('SIGTERM', () => process.exit(0));
