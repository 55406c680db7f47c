// Stands before the provider's endpoints: notes every request, delays or falsifies answers where a test asked for it, and
// gives rotated refresh tokens their grace period.
import * as querystring from 'node:querystring';
import { setTimeout as sleep } from 'node:timers/promises';
import { bodyOf } from './interactions.mjs';
import * as registry from './registry.mjs';
import { rows } from './storage.mjs';

const ENDPOINTS = {
  '/auth': 'authorize',
  '/token': 'token',
  '/token/revocation': 'revoke',
  '/device/auth': 'device',
  '/elsewhere': 'followed',
};

/** One request at a time for each refresh token, so that two at once count as reuse, exactly. */
const queues = new Map();
async function oneAtATime(key, work) {
  const before = queues.get(key) ?? Promise.resolve();
  const mine = before.then(work, work);
  queues.set(key, mine);
  try {
    return await mine;
  } finally {
    if (queues.get(key) === mine) queues.delete(key);
  }
}

/** How the client showed who it is, and its id. */
function clientOf(ctx, form) {
  const basic = /^Basic (.+)$/i.exec(ctx.get('authorization'));
  if (basic) {
    const [id] = Buffer.from(basic[1], 'base64').toString().split(':');
    return { client_id: decodeURIComponent(id.replace(/\+/g, ' ')), client_auth: 'client_secret_basic' };
  }
  const client_auth = form.client_assertion ? 'private_key_jwt' : form.client_secret ? 'client_secret_post' : 'none';
  let id = form.client_id;
  if (!id && form.client_assertion) {
    id = JSON.parse(Buffer.from(String(form.client_assertion).split('.')[1] ?? '', 'base64url').toString() || '{}').sub;
  }
  return { client_id: id, client_auth };
}

/** Answers in place of the provider. */
function lie(ctx, { mode, retry_after = 7, error = 'invalid_grant', error_description, status }, issuer, clientId) {
  switch (mode) {
    case 'html':
      ctx.type = 'html';
      ctx.body = '<!doctype html><title>Sign in</title><h1>Proxy sign-in</h1>';
      return true;
    case 'empty':
      ctx.status = 200;
      ctx.type = 'json';
      ctx.body = '';
      return true;
    case 'redirect':
      ctx.redirect(`${issuer}/elsewhere?client_id=${encodeURIComponent(clientId)}`);
      return true;
    case 'http503':
      ctx.status = 503;
      ctx.set('retry-after', String(retry_after));
      ctx.body = 'try again later';
      return true;
    case 'error200':
    case 'error':
      ctx.status = mode === 'error200' ? 200 : (status ?? 400);
      ctx.body = { error, error_description };
      return true;
    default:
      return false;
  }
}

/** Lets a rotated refresh token pass once more while its grace lasts; returns what undoes that. */
function grace(value, { rotate_grace: seconds, rotate_grace_uses: uses }) {
  const row = rows('RefreshToken').get(value);
  if (!seconds || !row?.payload.consumed || Date.now() - row.rotatedAt > seconds * 1000) return undefined;
  if (uses > 0 && (row.graced ?? 0) >= uses) return undefined;
  const { consumed } = row.payload;
  row.graced = (row.graced ?? 0) + 1;
  delete row.payload.consumed;
  return () => {
    row.graced -= 1;
    row.payload.consumed = consumed;
  };
}

/** The middleware. */
export function tokenEndpoint(issuer) {
  return async (ctx, next) => {
    const endpoint = ENDPOINTS[ctx.path];
    if (!endpoint) return next();
    let form = ctx.query;
    if (ctx.method === 'POST') {
      ctx.req.body = await bodyOf(ctx.req);
      form = querystring.parse(ctx.req.body);
    }
    const { client_id, client_auth } = clientOf(ctx, form);
    const request = registry.note({
      at: new Date().toISOString(),
      endpoint,
      client_id,
      client_auth: endpoint === 'authorize' ? undefined : client_auth,
      grant_type: form.grant_type,
      refresh_token_sha256: registry.digest(form.refresh_token),
      token_sha256: registry.digest(form.token),
      scope: form.scope,
      prompt: form.prompt,
      login_hint: form.login_hint,
      redirect_uri: form.redirect_uri,
      code_challenge_method: form.code_challenge_method,
      code_verifier: form.code_verifier !== undefined,
      finished: false,
    });
    ctx.res.on('close', () => {
      request.answered = ctx.res.writableFinished;
    });
    const finish = () => {
      request.finished = true;
      request.status = ctx.status;
      request.ok = ctx.status === 200 && !ctx.body?.error;
      request.error = ctx.body?.error;
      request.new_refresh_token_sha256 = endpoint === 'token' ? registry.digest(ctx.body?.refresh_token) : undefined;
    };
    if (endpoint === 'followed') {
      ctx.body = { access_token: 'must-not-be-taken', token_type: 'Bearer', expires_in: 3600 };
      return finish();
    }
    if (endpoint !== 'token') {
      await next();
      return finish();
    }
    const options = registry.options(client_id);
    if (options.delay_before) await sleep(options.delay_before);
    const mode = registry.nextMode(client_id);
    if (mode && lie(ctx, mode, issuer, client_id)) return finish();
    if (form.refresh_token) {
      await oneAtATime(form.refresh_token, async () => {
        const undo = grace(form.refresh_token, options);
        await next();
        if (undo && ctx.status !== 200) undo();
      });
    } else {
      await next();
    }
    if (mode?.mode === 'newline_token' && ctx.body?.access_token) {
      ctx.body.access_token = ctx.body.access_token.replace(/^.{9}/, '$&\r\n');
    }
    finish();
    if (options.delay_after) await sleep(options.delay_after);
  };
}
