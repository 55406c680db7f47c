//! Proofs of least privilege.

use super::records::{provider, token};
use crate::support::databases::{NOW, databases};
use mailgrant::model::proof::{Proof, ProofOutcome};

#[tokio::test]
async fn the_newest_proofs_come_first_and_the_oldest_go() {
    for database in databases().await {
        let store = &database.store;
        let proof = |number: i64| Proof {
            id: format!("p{number:02}"),
            token_id: token().id,
            address: "ceo@contoso.test".into(),
            outcome: ProofOutcome::ALL[usize::try_from(number).unwrap() % 3],
            detail: "IMAP: NO AUTHENTICATE failed.".into(),
            at: NOW.plus(number),
            by: "Maija".into(),
        };
        let mut tx = store.begin().await.unwrap();
        tx.insert_provider(&provider()).await.unwrap();
        tx.insert_token(&token()).await.unwrap();
        for number in 0..25 {
            tx.insert_proof(&proof(number)).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(store.proofs_of(&token().id, 2).await.unwrap(), [proof(24), proof(23)]);
        let kept = store.proofs_of(&token().id, 100).await.unwrap();
        assert_eq!(kept.last(), Some(&proof(5)), "twenty are kept");
    }
}
