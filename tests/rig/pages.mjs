// The provider's own pages: plain HTML that waits for a click, without a script and without anything from outside.
import { LISTED } from './accounts.mjs';

export const escape = (text) =>
  String(text ?? '').replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

function page(title, body) {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escape(title)} - Rig provider</title>
<style>body{font:16px/1.5 sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem;color:#111;background:#fff}button,input{font:inherit;padding:.4rem .6rem;margin:.2rem 0}label{display:block}</style></head>
<body><main><h1>${escape(title)}</h1>
${body}
</main></body></html>
`;
}

/** Account picker, and address with password. Form fields: `action`=`pick` with `account`, or `action`=`sign-in` with `email`
    and `password`; `action`=`cancel`. */
export function signIn({ uid, client, hint, session, message }) {
  const buttons = [...LISTED.keys()]
    .map((email) => `<p><button name="account" value="${escape(email)}">${escape(email)}</button>${email === session ? ' signed in' : ''}</p>`)
    .join('\n');
  return page('Sign in', `${message ? `<p role="alert">${escape(message)}</p>` : ''}
<p>to go on to <strong>${escape(client)}</strong></p>
<form id="pick" method="post" action="/interaction/${uid}"><input type="hidden" name="action" value="pick">
<h2>Pick an account</h2>
${buttons}
</form>
<form id="sign-in" method="post" action="/interaction/${uid}"><input type="hidden" name="action" value="sign-in">
<h2>Use another account</h2>
<p><label>Email <input name="email" type="email" value="${escape(hint)}" autocomplete="username"></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password"></label></p>
<p><button>Sign in</button></p>
</form>
<form id="cancel" method="post" action="/interaction/${uid}"><p><button name="action" value="cancel">Cancel</button></p></form>`);
}

/** What the client asks for. Form field: `action`=`allow` or `deny`. */
export function consent({ uid, client, email, scopes }) {
  return page('Permissions requested', `<p><strong>${escape(client)}</strong> wants to act as <strong>${escape(email)}</strong>:</p>
<ul>${scopes.map((scope) => `<li><code>${escape(scope)}</code></li>`).join('')}</ul>
<form id="consent" method="post" action="/interaction/${uid}">
<p><button name="action" value="allow">Allow</button> <button name="action" value="deny">Deny</button></p>
</form>`);
}

/** Any error that cannot go back to the client. */
export function failure(out) {
  return page('Something is wrong', `<dl>${Object.entries(out)
    .map(([key, value]) => `<dt>${escape(key)}</dt><dd>${escape(value)}</dd>`)
    .join('')}</dl>`);
}

/** Asks for the user code of the device flow; `form` is the library's form without a button. */
export function deviceCode(form, out) {
  const plain = form.replace(/ onfocus="[^"]*"/, '').replace('</form>', '<button>Continue</button></form>');
  return page('Enter the code', `${out ? `<p role="alert">${escape(out.error_description ?? out.error)}</p>` : ''}${plain}`);
}

/** Shows the user code again and waits for a click. */
export function deviceConfirm(form, client, code) {
  return page('Is this your code?', `<p><strong>${escape(client)}</strong> shows <code>${escape(code)}</code></p>
${form}
<p><button form="op.deviceConfirmForm">Continue</button> <button form="op.deviceConfirmForm" name="abort" value="yes">Abort</button></p>`);
}

/** The device flow is through. */
export const deviceDone = () => page('Signed in', '<p>You can close this page.</p>');
