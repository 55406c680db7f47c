//! Mailgrant: one self-hosted console that gets OAuth 2.0 tokens for mailboxes, keeps them renewed, proves that mail flows, and hands
//! fresh access tokens to other programs.
//!
//! This page is the map of the code; it stays true. Imports point downwards:
//!
//! ```text
//! cli → {web, worker} → actions, app → probe, diagnosis, oauth, mail, vault, auth, store → model → secret, clock, random
//! ```
//!
//! A page that only reads may ask [`store`] directly; whatever changes something is an action. [`diagnosis`] knows the errors of
//! [`oauth`] and [`mail`] by their ids and texts, and [`probe`] knows both; never the reverse. One line goes up: [`app`] carries what the
//! workers know of themselves ([`worker::Workers`]), which the doctor and the health page read.
//!
//! # The parts
//!
//! - [`app`]: the parts every command and request shares, built once, cheap to clone. [`config`]: typed settings from file, environment
//!   and flags, checked before anything starts. [`clock`], [`random`]: time and randomness, injected. [`held`]: what this
//!   process is at. [`secret`]: newtypes that never print; `mask` finds them in what others say. [`telemetry`]: log lines without secrets,
//!   one record a line; notable ones are copied into the system log, which [`worker::log`] keeps.
//! - [`gate`]: where connections may go. Every outbound connection, to providers and mail servers alike, passes it.
//! - [`model`]: plain data every part may use: providers and their templates, tokens and grants, mailboxes, reports, people, audit
//!   entries, the shape of the configuration file, the readers of what people bring along ([`model::import`]), and as dated data what
//!   providers allow ([`model::limits`], beside what it limits), how long they keep sign-ins ([`model::idle`]) and what they turn off
//!   ([`model::retirements`]: [`store`] finds the mailboxes a change touches, [`web::pages`] mark them).
//! - [`store`]: the only SQL, one text for SQLite and PostgreSQL; changes happen in a transaction together with their audit entry.
//!   [`vault`]: secrets at rest, bound to their place, version and destination.
//! - [`oauth`]: the OAuth 2.0 client. One token-endpoint call for every grant; authorization code with PKCE; who signed in; refresh,
//!   revocation, discovery; certificates, and the assertions signed with their keys.
//! - [`mail`]: IMAP, POP3 and SMTP from the client's side, stage by stage over a recorded, limited stream; SASL; Microsoft Graph.
//!   [`probe`]: the stages put together to *Test incoming* and *Test outgoing*, timed and streamed; and what a token that can be read
//!   opens, judged before anything is connected to.
//! - [`diagnosis`]: from an error to a cause and a remedy, and the ways out with finished commands and requests; catalogue and ways are data.
//!   [`actions::judgement`] puts settings, token and provider beside the error for it; [`actions::ahead`] asks its rules before anything is
//!   tried, for forms, pages and imports. [`web::pages::diagnosis`] is the one block that tells it on every page.
//! - [`auth`]: who may come in: passwords, throttling.
//! - [`actions`]: everything that changes something. An actor goes in, an outcome comes out, an audit entry is written with the change:
//!   sign-in, people, providers, tokens, authorizations and links, mailboxes, test runs and proofs of least privilege, access tokens (with the
//!   refresh protocol), the configuration file, import and export ([`actions::transfer`]), walkthroughs ([`actions::walkthroughs`]: what
//!   they say is data in [`model::walkthrough`], a check is one function a kind), first-run setup, settings ([`model::settings`] says
//!   what may be chosen, as data), the doctor.
//! - The support bundle: [`actions::bundle`] gathers the records, [`model::bundle`] writes the text, takes out what looks secret and gives names
//!   stand-ins; `mask` finds known secrets in whatever others say.
//! - [`web`]: every route in one list with who may use it, the layers every request goes through, and a file a section in
//!   [`web::pages`]; templates are in `templates/`, one folder a section, components shared.
//! - [`sandbox`]: a provider in a box, with mail servers and faults, for [`cli::demo`] and the tests; it uses nothing of [`oauth`] or
//!   [`mail`], so that the two sides can't share a mistake.
//! - [`worker`]: what goes on by itself: each worker is a `tick` and a loop around it. Which instances serve one database, and which of
//!   them does what only one should do, is known by [`worker::instances`]. What mailboxes have turns at is divided among them by
//!   [`worker::turns`] ([`store::turns`] says whose turn it is). [`worker::refresher`] renews what is due, [`worker::monitor`]
//!   checks mailboxes, [`worker::batches`] tests many at once, [`worker::bulk`] goes on with changes of many, [`worker::round_trips`]
//!   lets them send messages to themselves,
//!   [`worker::findings`] counts once a week what they hold ([`actions::findings`] tells it), [`worker::audit`] looks through the chain of the
//!   audit log, [`worker::clock`] compares this machine's time with that of providers, [`worker::certificate`] looks when the certificate at
//!   the console's own address ends ([`actions::console_certificate`]), [`worker::notices`] tells what is wrong and what ends,
//!   [`worker::deliveries`] sends it.
//! - [`cli`]: the command tree; [`cli::serve`] runs the console and the workers.
//!
//! # How a test run flows
//!
//! [`web::pages::mailboxes`] or [`cli::mailbox`] → [`actions::probe`], which queues it by provider, gets the token from
//! [`actions::access_token`] and runs [`probe`] over [`mail`]; progress goes to the pages through a watch channel and, for pages of
//! other instances, into the row ([`store::going_on`]), the end into [`store::reports`] with its [`diagnosis`].
//!
//! # How many are tested at once
//!
//! [`web::pages::batches`] → [`actions::batches`] writes the batch and its items in one transaction; [`worker::batches`] of every instance
//! claims items, runs [`actions::probe::test`], and writes down what ended together. Counts and causes are kept beside the batch
//! ([`store::batches`], [`store::batch_work`]), so that its page costs the same however many there are.
//!
//! # How a sign-in flows
//!
//! [`web::pages::authorize`] → [`actions::authorize::begin`] makes the attempt; the person goes to the provider and comes back to
//! `/oauth/callback/{provider}`; [`actions::authorize::finish`] checks what came, in order, and stores a token set only if it belongs
//! to the expected account. At another device nobody comes back: [`actions::authorize::device`] asks the provider, and goes on the same way.
//!
//! # How an admin consents
//!
//! [`web::pages::consent`] or a link `/c/{code}` → [`actions::consent::begin`]; the admin goes to the provider and comes back to
//! `/oauth/admin-consent/{provider}`; [`actions::consent::finish`] notes what came. It changes no token: the proof is the app's own
//! token, or the next sign-in.
//!
//! # How somebody is told
//!
//! [`worker::notices`] → [`actions::notices`]: what is wrong now is found by cause, and by where it is; a cause that is new opens a
//! notice ([`model::notices`], [`store::notices`]), and all of it working again closes it. What is to be told becomes messages, one for
//! each cause, held back in quiet hours and gathered above a bound; each recipient of one is a delivery ([`store::deliveries`]), claimed
//! before it is sent: by mail the way tests send theirs ([`probe`]), or posted and signed. [`web::pages::notifications`] sets it all up.
//!
//! # How a token stays alive
//!
//! [`actions::access_token`] hands out the stored access token while it lives, else renews it: the attempt is durable before anything
//! is sent, the answer before anyone is answered, one renewal at a time across processes. Before that comes to it,
//! [`worker::refresher`] renews what is due ([`model::due`]); how long a provider keeps a sign-in is data ([`model::idle`]), and what
//! ends when says [`actions::expiry`]: the rows of `/expiry`, of the overview, of the calendar file ([`model::calendar`]) and of the metrics.

pub mod actions;
pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod diagnosis;
pub mod gate;
pub mod held;
pub mod mail;
mod mask;
pub mod metrics;
pub mod model;
pub mod oauth;
pub mod probe;
pub mod random;
pub mod sandbox;
pub mod secret;
pub mod store;
pub mod telemetry;
pub mod vault;
pub mod web;
pub mod worker;
