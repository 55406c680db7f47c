// What the control server tells the provider about each client, and what each client was seen doing.
import { createHash } from 'node:crypto';

/** How a client is treated when nothing else was asked for. */
const DEFAULTS = {
  access_token_ttl: 3600,
  token_length: 43,
  rotate: false,
  rotate_grace: 0,
  rotate_grace_uses: 1,
  delay_before: 0,
  delay_after: 0,
  no_refresh: false,
  drop_scopes: [],
  app_mailboxes: [],
};

const clients = new Map();
const seen = [];

/** Splits what was posted into the rig's own options and the client metadata of OpenID registration. */
export function register(posted) {
  const options = { ...DEFAULTS };
  const metadata = { redirect_uris: [] };
  for (const [key, value] of Object.entries(posted)) {
    if (key in DEFAULTS) options[key] = value;
    else metadata[key] = value;
  }
  metadata.response_types = metadata.redirect_uris.length ? ['code'] : [];
  metadata.grant_types ??= [
    ...(metadata.redirect_uris.length ? ['authorization_code'] : []),
    'refresh_token',
    'urn:ietf:params:oauth:grant-type:device_code',
    ...(metadata.token_endpoint_auth_method === 'none' ? [] : ['client_credentials']),
  ];
  clients.set(metadata.client_id, { options, mode: { mode: 'ok' } });
  return metadata;
}

/** The options of a client; unknown ones get the defaults. */
export const options = (clientId) => clients.get(clientId)?.options ?? DEFAULTS;

/** Makes the token endpoint lie to one client; `times` requests long, or until told otherwise. */
export function setMode(clientId, mode) {
  const entry = clients.get(clientId);
  if (entry) entry.mode = mode;
  return Boolean(entry);
}

/** The lie for the next token request of a client, or undefined. */
export function nextMode(clientId) {
  const entry = clients.get(clientId);
  if (!entry || entry.mode.mode === 'ok') return undefined;
  const { mode } = entry;
  if (mode.times !== undefined && --mode.times <= 0) entry.mode = { mode: 'ok' };
  return mode;
}

/** Remembers a request; the caller fills in how it ended. */
export function note(request) {
  seen.push(request);
  return request;
}

/** The requests of a client at an endpoint (`token`, `authorize`, `revoke`, `device`, `followed`; `all`), oldest first. */
export const requests = (clientId, endpoint) =>
  seen.filter((r) => (!clientId || r.client_id === clientId) && (endpoint === 'all' || r.endpoint === endpoint));

export const digest = (text) => (text ? createHash('sha256').update(text).digest('hex') : null);
