//! Mailgrant proves itself by certificate to the sandbox, which shares no code with it; every mistake is told apart.

use super::Play;
use crate::support::certificates::{DER, FILE};
use crate::support::databases::{NOW, config};
use mailgrant::actions::config::{Sources, apply, parse};
use mailgrant::actions::place;
use mailgrant::actions::providers::trial;
use mailgrant::app::App;
use mailgrant::clock::MockClock;
use mailgrant::diagnosis::{Evidence, diagnose};
use mailgrant::model::Name;
use mailgrant::model::audit::Actor;
use mailgrant::model::provider::{AssertionAlg, Provider};
use mailgrant::model::report::Outcome;
use mailgrant::oauth::{Credential, KeyedCertificate};
use mailgrant::random::SystemRandom;
use mailgrant::sandbox::{AppCertificate, House, MICROSOFT_APP, OPEN_APP, TENANT};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

struct Console {
    app: App,
    play: Play,
    clock: MockClock,
    directory: TempDir,
}

impl Console {
    /// The console's clock can be moved, the sandbox's stands still. `registered`: its apps know the certificate.
    async fn start(registered: bool) -> Self {
        let clock = MockClock::at(NOW);
        let play = Play::start_at(&MockClock::at(NOW)).await;
        if registered {
            for (id, _) in [MICROSOFT_APP, OPEN_APP] {
                let mut client = play.sandbox.client(id).unwrap();
                client.certificates.push(AppCertificate::from_der(DER).unwrap());
                play.sandbox.set_client(client);
            }
        }
        let directory = TempDir::new().unwrap();
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, play.sandbox.ca_pem()).unwrap();
        std::fs::write(directory.path().join("client.pem"), FILE).unwrap();
        let mut config = config(&directory.path().join("data"), &[("MAILGRANT_ALLOW_NETWORKS", "loopback")]);
        (config.extra_ca_file, config.demo) = (Some(ca), true);
        let app = App::open(config, Arc::new(clock.clone()), Arc::new(SystemRandom)).await.unwrap();
        Self {
            app,
            play,
            clock,
            directory,
        }
    }

    async fn provider(&self, text: &str) -> Provider {
        let sources = Sources {
            directory: PathBuf::from(self.directory.path()),
            env: &|_| None,
        };
        let file = parse(&format!(
            "[[provider]]\nname = \"p\"\nclient_auth = \"certificate\"\ncertificate_file = \"client.pem\"\n{text}"
        ))
        .unwrap();
        apply(&self.app, &Actor::console(), &file, &sources, false).await.unwrap();
        self.app.store.provider(&Name::parse("p").unwrap()).await.unwrap().unwrap()
    }

    async fn microsoft(&self, alg: &str) -> Provider {
        let url = self.play.sandbox.url();
        self.provider(&format!(
            "template = \"microsoft\"\ntenant = \"{TENANT}\"\nauthority = \"{url}\"\nissuer = \"{url}/{TENANT}/v2.0\"\ngraph_url = \"{url}\"\n\
             client_id = \"{}\"\nassertion_alg = \"{alg}\"\n",
            MICROSOFT_APP.0
        ))
        .await
    }

    /// How the step *app is known and its certificate is accepted* went: the diagnosis's id, or nothing.
    async fn checked(&self, provider: &Provider) -> String {
        let check = trial::check(&self.app, &Actor::console(), provider).await.unwrap();
        let step = check.steps.last().unwrap();
        assert_eq!(step.title, "The app is known and its certificate is accepted");
        assert_eq!(step.outcome == Outcome::Passed, step.diagnosis.is_none(), "{step:?}");
        step.diagnosis.as_ref().map(|found| found.id.clone()).unwrap_or_default()
    }
}

#[tokio::test]
async fn both_ways_to_sign_are_taken_and_a_strange_thumbprint_or_clock_is_told_apart() {
    let console = Console::start(true).await;
    for alg in AssertionAlg::ALL {
        let provider = console.microsoft(alg.as_str()).await;
        assert_eq!(console.checked(&provider).await, "", "{alg}");
    }
    let provider = console.microsoft("PS256").await;
    console.clock.advance(3600);
    // Microsoft says that the assertion has ended; that both clocks differ is why.
    assert_eq!(console.checked(&provider).await, "console-clock");
    let stranger = Console::start(false).await;
    let provider = stranger.microsoft("PS256").await;
    assert_eq!(stranger.checked(&provider).await, "entra-700027-key-not-found");
}

#[tokio::test]
async fn a_wrong_audience_and_a_wrong_app_are_told_apart() {
    let console = Console::start(true).await;
    let provider = console.microsoft("PS256").await;
    let keyed = KeyedCertificate::read_pem(FILE.as_bytes(), NOW).unwrap();
    let Credential::Certificate(signer) = place::signer(&console.app, &provider, &keyed, AssertionAlg::Ps256) else {
        panic!("no signer");
    };
    let url = console.play.token_url(House::Microsoft);
    for (id, audience, expected) in [
        (MICROSOFT_APP.0, url.as_str(), ""),
        (MICROSOFT_APP.0, "https://login.microsoftonline.com/x", "entra-700023"),
        ("another-app", url.as_str(), "entra-700021"),
    ] {
        let assertion = signer.sign(id, audience).unwrap();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", MICROSOFT_APP.0),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion),
            ("scope", "https://outlook.office365.com/.default"),
        ];
        let answer = console.play.post(&url, &form).await;
        if expected.is_empty() {
            answer.ok();
        } else {
            let found = diagnose(&Evidence::text(&answer.document.to_string()));
            assert!(found.id.starts_with(expected), "{}: {answer:?}", found.id);
        }
    }
}

#[tokio::test]
async fn a_strict_server_takes_one_assertion_after_the_other() {
    let console = Console::start(true).await;
    let url = console.play.sandbox.url();
    let provider = console
        .provider(&format!(
            "template = \"custom\"\nissuer = \"{url}\"\nauthorize_url = \"{url}/authorize\"\ntoken_url = \"{url}/token\"\nclient_id = \"{}\"\n\
             scopes = [\"mail\"]\n",
            OPEN_APP.0
        ))
        .await;
    for _ in 0..2 {
        assert_eq!(console.checked(&provider).await, "");
    }
}
