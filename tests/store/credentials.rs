//! What providers and tokens prove themselves with, beside client secrets: certificates, passwords, keys of service accounts.

use super::records::{provider, token};
use crate::support::databases::{NOW, databases};
use mailgrant::model::credential::{CertificateFacts, Credentials, Fallback, Held, StoredCertificate};
use mailgrant::model::provider::{AssertionAlg, ClientAuth};
use mailgrant::model::token::{ServiceAccount, StoredPassword, StoredServiceAccount};
use mailgrant::model::{Date, Sealed};

fn certificate(version: i64) -> StoredCertificate {
    StoredCertificate {
        public: "MIIB".into(),
        sealed: Sealed(format!("v1.key{version}")),
        version,
        set_at: NOW,
        set_by: "Maija".into(),
        facts: CertificateFacts {
            subject: "CN=Käyttäjä".into(),
            sha1: "AB".into(),
            sha256: "CD".into(),
            key_id: "k".into(),
            ends: NOW.plus(86_400),
        },
    }
}

#[tokio::test]
async fn a_provider_keeps_three_credentials_apart() {
    for database in databases().await {
        let store = &database.store;
        let mut wanted = provider();
        let secret = wanted.client_secret.clone().unwrap();
        wanted.client_auth = ClientAuth::Certificate;
        wanted.credentials = Credentials {
            alg: AssertionAlg::Rs256,
            certificate: Some(certificate(4)),
            next: Some(certificate(5)),
            fallback: Some(Fallback {
                until: Date::parse("2026-12-02").unwrap(),
                held: Held::Secret {
                    auth: ClientAuth::SecretBasic,
                    secret,
                    expires: Date::parse("2027-05-01"),
                },
                used_at: None,
            }),
        };
        let mut tx = store.begin().await.unwrap();
        tx.insert_provider(&wanted).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.provider(&wanted.name).await.unwrap().unwrap(), wanted);

        // That the one before was needed is noted with that one only.
        let fallback = wanted.credentials.fallback.clone().unwrap();
        let mut other = fallback.clone();
        other.until = Date::parse("2026-12-03").unwrap();
        let mut tx = store.begin().await.unwrap();
        assert!(!tx.note_fallback(&wanted.id, &other, NOW).await.unwrap());
        assert!(tx.note_fallback(&wanted.id, &fallback, NOW.plus(9)).await.unwrap());
        tx.commit().await.unwrap();
        let stored = store.provider(&wanted.name).await.unwrap().unwrap();
        assert_eq!(stored.credentials.fallback.clone().unwrap().used_at, Some(NOW.plus(9)));

        let mut plain = stored.clone();
        plain.credentials = Credentials::default();
        let mut tx = store.begin().await.unwrap();
        tx.update_provider(&plain).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            store.provider(&wanted.name).await.unwrap().unwrap().credentials,
            Credentials::default()
        );
    }
}

#[tokio::test]
async fn passwords_and_keys_are_replaced_taken_away_and_go_with_their_owners() {
    for database in databases().await {
        let store = &database.store;
        let password = |version| StoredPassword {
            sealed: Some(Sealed(format!("v1.p{version}"))),
            version,
            destination: "https://login.example/token".into(),
            set_at: NOW,
            set_by: "Maija".into(),
        };
        let account = |version| StoredServiceAccount {
            sealed: Sealed(format!("v1.a{version}")),
            version,
            destination: "https://oauth2.example/token".into(),
            account: ServiceAccount {
                client_email: "robot@example.com".into(),
                client_id: "117".into(),
                key_id: format!("k{version}"),
            },
            set_at: NOW,
            set_by: "Maija".into(),
        };
        let (t, p) = (token(), provider());
        let mut tx = store.begin().await.unwrap();
        tx.insert_provider(&p).await.unwrap();
        tx.insert_token(&t).await.unwrap();
        assert_eq!(tx.token_password(&t.id).await.unwrap(), None);
        assert_eq!(tx.service_account(&p.id).await.unwrap(), None);
        for version in [1, 2] {
            tx.set_token_password(&t.id, &password(version)).await.unwrap();
            tx.set_service_account(&p.id, &account(version)).await.unwrap();
        }
        assert_eq!(tx.token_password(&t.id).await.unwrap(), Some(password(2)));
        assert_eq!(tx.service_account(&p.id).await.unwrap(), Some(account(2)));
        tx.commit().await.unwrap();
        assert_eq!(store.token_password(&t.id).await.unwrap(), Some(password(2)));
        assert_eq!(store.service_account(&p.id).await.unwrap(), Some(account(2)));

        let mut tx = store.begin().await.unwrap();
        tx.drop_token_password(&t.id).await.unwrap();
        tx.commit().await.unwrap();
        let gone = store.token_password(&t.id).await.unwrap().unwrap();
        assert_eq!((gone.sealed, gone.version), (None, 2), "its version never comes again");

        let mut tx = store.begin().await.unwrap();
        tx.delete_token(&t.id).await.unwrap();
        tx.delete_provider(&p.id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.token_password(&t.id).await.unwrap(), None);
        assert_eq!(store.service_account(&p.id).await.unwrap(), None);
    }
}
