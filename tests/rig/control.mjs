// The control server: how a test registers clients, mints tokens, makes the provider misbehave and asks what it was sent.
// JSON in, JSON out, plain http on loopback; README.md has the requests.
import { bodyOf } from './interactions.mjs';
import { deliver, makeFolder } from './mailstore.mjs';
import * as registry from './registry.mjs';
import { endGrants, rows } from './storage.mjs';

const MODES = ['ok', 'html', 'empty', 'redirect', 'http503', 'error200', 'error', 'newline_token'];

class Wrong extends Error {}

export function controlServer({ provider, account, forget, mail }) {
  const person = (address) => {
    const found = account(address);
    if (!found) throw new Wrong(`no such account: ${address}`);
    return found;
  };
  const client = async (id) => {
    const found = await provider.Client.find(id);
    if (!found) throw new Wrong(`no such client: ${id}`);
    return found;
  };

  const routes = {
    'POST /client': async (posted) => {
      const metadata = registry.register(posted);
      const checked = new provider.Client(metadata);
      await provider.Client.adapter.upsert(metadata.client_id, checked.metadata());
      return { client_id: metadata.client_id };
    },

    'POST /grant': async ({ client_id, account: address, scope, expires_in: expiresIn }) => {
      const owner = await client(client_id);
      const { sub } = person(address);
      const { drop_scopes: dropped, no_refresh: noRefresh } = registry.options(client_id);
      const granted = scope.split(' ').filter((name) => !dropped.includes(name)).join(' ');
      const grant = new provider.Grant({ accountId: sub, clientId: client_id });
      grant.addOIDCScope(granted);
      const shared = {
        accountId: sub,
        client: owner,
        grantId: await grant.save(),
        gty: 'authorization_code',
        scope: granted,
        expiresWithSession: false,
      };
      const access = new provider.AccessToken({ ...shared, expiresIn });
      const accessToken = await access.save();
      const refresh = new provider.RefreshToken({ ...shared, rotations: 0, authTime: Math.floor(Date.now() / 1000) });
      return {
        access_token: accessToken,
        expires_in: access.expiration,
        refresh_token: noRefresh ? undefined : await refresh.save(),
        scope: granted,
      };
    },

    'POST /revoke-grants': async ({ client_id, account: address }) => {
      if (!client_id && !address) throw new Wrong('client_id or account, please');
      const sub = address && person(address).sub;
      const matches = ({ clientId, accountId }) => (!client_id || clientId === client_id) && (!sub || accountId === sub);
      forget(matches);
      return { ended: endGrants(matches) };
    },

    'POST /expire-tokens': async ({ client_id }) => {
      await client(client_id);
      let expired = 0;
      for (const [id, { payload }] of rows('AccessToken')) {
        if (payload.clientId === client_id && rows('AccessToken').delete(id)) expired += 1;
      }
      return { expired };
    },

    'POST /mode': async ({ client_id, ...mode }) => {
      await client(client_id);
      if (!MODES.includes(mode.mode)) throw new Wrong(`mode is one of ${MODES.join(', ')}`);
      registry.setMode(client_id, mode);
      return { client_id, ...mode };
    },

    'POST /mail': async ({ address, folder, count = 1, date, ...rest }) => {
      person(address);
      if (!count) makeFolder(mail, address, folder);
      const sizes = [];
      for (let i = 0; i < count; i += 1) {
        sizes.push(deliver(mail, { address, folder, date: date ? new Date(date) : new Date(), ...rest }));
      }
      return { sizes };
    },

    'GET /requests': async ({ client_id, endpoint = 'token' }) => {
      const requests = registry.requests(client_id, endpoint);
      return { count: requests.length, requests };
    },
  };

  return async (req, res) => {
    const url = new URL(req.url, 'http://control');
    const answer = (status, body) => {
      res.writeHead(status, { 'content-type': 'application/json' });
      res.end(JSON.stringify(body));
    };
    try {
      const route = routes[`${req.method} ${url.pathname}`];
      if (!route) return answer(404, { error: `no such request; there are: ${Object.keys(routes).join(', ')}` });
      const body = req.method === 'POST' ? JSON.parse((await bodyOf(req)) || '{}') : Object.fromEntries(url.searchParams);
      answer(200, await route(body));
    } catch (error) {
      answer(error instanceof Wrong || error.error || error instanceof SyntaxError ? 400 : 500, {
        error: error.error_description ?? error.message,
      });
    }
  };
}
