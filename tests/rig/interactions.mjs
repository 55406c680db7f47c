// What happens when somebody clicks on one of the provider's pages.
import * as querystring from 'node:querystring';
import { account, accountOf } from './accounts.mjs';
import * as pages from './pages.mjs';
import * as registry from './registry.mjs';

/** Reads a small body as text. */
export async function bodyOf(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Middleware for `/interaction/UID`: GET shows the page, POST is a click. */
export function interactions(provider, { remember }) {
  function show(ctx, details, message) {
    const { uid, prompt, params } = details;
    const email = accountOf(details.session?.accountId)?.email;
    ctx.type = 'html';
    ctx.set('cache-control', 'no-store');
    ctx.body =
      prompt.name === 'consent'
        ? pages.consent({ uid, client: params.client_id, email, scopes: asked(details) })
        : pages.signIn({ uid, client: params.client_id, hint: params.login_hint, session: email, message });
  }

  const asked = ({ params }) => (params.scope ?? '').split(' ').filter(Boolean);

  async function finish(ctx, result) {
    ctx.status = 303;
    ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result));
  }

  /** Another account than the one signed in takes over the session, without the library's sign-out page. */
  async function signIn(ctx, details, person) {
    const uid = details.session?.uid;
    if (uid && details.session.accountId && details.session.accountId !== person.sub) {
      const session = await provider.Session.findByUid(uid);
      session.accountId = person.sub;
      session.authorizations = undefined;
      await session.persist();
      details.session.accountId = person.sub;
      await details.persist();
    }
    await finish(ctx, { ...(details.prompt.name === 'select_account' ? { select_account: {} } : {}), login: { accountId: person.sub } });
  }

  async function allow(ctx, details) {
    const { session, params } = details;
    const existing = details.grantId && (await provider.Grant.find(details.grantId));
    const grant = existing || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    const dropped = registry.options(params.client_id).drop_scopes;
    grant.addOIDCScope(asked(details).join(' '));
    if (dropped.length) grant.rejectOIDCScope(dropped.join(' '));
    remember(session.accountId, params.client_id, asked(details));
    await finish(ctx, { consent: { grantId: await grant.save() } });
  }

  return async (ctx, next) => {
    if (!ctx.path.startsWith('/interaction/')) return next();
    let details;
    try {
      details = await provider.interactionDetails(ctx.req, ctx.res);
    } catch (error) {
      ctx.status = 400;
      ctx.type = 'html';
      ctx.body = pages.failure({ error: error.error ?? 'error', error_description: error.error_description ?? error.message });
      return;
    }
    if (ctx.method !== 'POST') return show(ctx, details);
    const form = querystring.parse(await bodyOf(ctx.req));
    switch (form.action) {
      case 'cancel':
        return finish(ctx, { error: 'access_denied', error_description: 'the sign-in was cancelled' });
      case 'deny':
        return finish(ctx, { error: 'access_denied', error_description: 'the user declined to consent' });
      case 'allow':
        return details.prompt.name === 'consent' ? allow(ctx, details) : show(ctx, details);
      case 'pick':
      case 'sign-in': {
        if (details.prompt.name === 'consent') return show(ctx, details);
        const person = account(form.action === 'pick' ? form.account : form.email);
        if (!person) return show(ctx, details, 'There is no such account.');
        if (form.action === 'sign-in' && (!form.password || form.password === 'wrong')) {
          return show(ctx, { ...details, uid: details.uid, params: { ...details.params, login_hint: form.email } }, 'Wrong password.');
        }
        return signIn(ctx, details, person);
      }
      default:
        return show(ctx, details);
    }
  };
}
