//! Walkthroughs and what is known of their steps.

use super::records::{provider, token};
use crate::support::databases::{NOW, databases};
use mailgrant::model::walkthrough::{StepRow, StepState, Walkthrough};
use mailgrant::store::StoreError;

fn walkthrough(number: i64) -> Walkthrough {
    Walkthrough {
        id: format!("w{number:02}"),
        template: "microsoft-user".into(),
        name: "contoso".into(),
        address: "support@contoso.test".into(),
        account: String::new(),
        provider_id: Some(provider().id),
        token_id: Some(token().id),
        mailbox_id: None,
        started_by: "Maija".into(),
        started_at: NOW,
        touched_by: "Ossi".into(),
        touched_at: NOW.plus(number),
        finished_at: (number % 2 == 1).then(|| NOW.plus(number)),
        version: 1,
    }
}

fn step(state: StepState) -> StepRow {
    StepRow {
        step: "consent".into(),
        state,
        evidence: "Consent was given".into(),
        problem: mailgrant::diagnosis::by_id("entra-7000222-secret-expired"),
        changed_at: NOW,
        changed_by: "Maija".into(),
        held_at: Some(NOW),
        sent_to: "jari@contoso.test".into(),
        link_id: "l1".into(),
    }
}

#[tokio::test]
async fn a_walkthrough_is_saved_by_who_saw_it_last_and_outlives_what_it_is_about() {
    for database in databases().await {
        let store = &database.store;
        let mut tx = store.begin().await.unwrap();
        tx.insert_provider(&provider()).await.unwrap();
        tx.insert_token(&token()).await.unwrap();
        for number in 0..6 {
            tx.insert_walkthrough(&walkthrough(number)).await.unwrap();
        }
        tx.commit().await.unwrap();
        let ids = async |finished| {
            let rows = store.walkthroughs(finished, 2).await.unwrap();
            rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
        };
        assert_eq!(
            (ids(false).await, ids(true).await),
            (vec!["w04".to_owned(), "w02".into()], vec!["w05".into(), "w03".into()])
        );
        assert_eq!(store.walkthrough("w04").await.unwrap(), Some(walkthrough(4)));

        let mut tx = store.begin().await.unwrap();
        tx.update_walkthrough(&walkthrough(4)).await.unwrap();
        let late = tx.update_walkthrough(&walkthrough(4)).await.unwrap_err();
        assert!(matches!(late, StoreError::Stale), "{late}");
        for state in [StepState::Waiting, StepState::Done] {
            tx.put_walkthrough_step("w04", &step(state)).await.unwrap();
        }
        assert_eq!(tx.walkthrough_steps("w04").await.unwrap(), [step(StepState::Done)]);
        assert_eq!(tx.walkthrough("w04").await.unwrap().map(|row| row.version), Some(2));
        tx.delete_token(&token().id).await.unwrap();
        tx.delete_provider(&provider().id).await.unwrap();
        tx.commit().await.unwrap();
        let row = store.walkthrough("w04").await.unwrap().unwrap();
        assert_eq!((row.provider_id, row.token_id), (None, None));
        assert_eq!(store.walkthrough_steps("w04").await.unwrap(), [step(StepState::Done)]);

        let mut tx = store.begin().await.unwrap();
        assert!(tx.delete_walkthrough("w04").await.unwrap() && !tx.delete_walkthrough("w04").await.unwrap());
        tx.commit().await.unwrap();
        assert!(store.walkthrough_steps("w04").await.unwrap().is_empty(), "its steps went with it");
    }
}
