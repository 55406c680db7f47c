//! The list: its pages and filters.

use super::link;
use crate::support::app::{Page, TestApp};
use axum::http::StatusCode;
use mailgrant::model::report::Outcome;

/// The addresses on a page of the list.
pub(super) fn addresses(page: &Page) -> Vec<String> {
    page.text("tbody td a > b").lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_list_pages_first_next_previous_last_and_stays_in_place_while_others_add() {
    let t = TestApp::start().await;
    for n in 0..60 {
        t.add_mailbox(&format!("m{n:03}"), Some(1143), None).await;
    }
    let mut admin = t.admin();
    let first = admin.get("/mailboxes?size=25&sort=address").await;
    let name = |n: usize| format!("m{n:03}@contoso.test");
    let range = |from: usize, to: usize| (from..to).map(name).collect::<Vec<_>>();
    assert_eq!(addresses(&first), range(0, 25));
    assert!(first.words().contains("1–25 of 60"));
    assert_eq!((link(&first, "First"), link(&first, "Previous")), (None, None));
    assert_eq!(first.attribute("th[aria-sort]", "aria-sort").as_deref(), Some("ascending"));

    let second = admin.get(link(&first, "Next").unwrap()).await;
    assert_eq!(addresses(&second), range(25, 50));
    assert!(second.words().contains("26–50 of 60"), "{}", second.words());
    // Others add before and after; the place stays.
    t.add_mailbox("m000a", Some(1143), None).await;
    t.add_mailbox("zz", Some(1143), None).await;
    let third = admin.get(link(&second, "Next").unwrap()).await;
    assert_eq!(addresses(&third)[..10], range(50, 60));
    assert_eq!(link(&third, "Next"), None);
    let back = admin.get(link(&third, "Previous").unwrap()).await;
    assert_eq!(addresses(&back), range(25, 50));
    let start = admin.get(link(&back, "Previous").unwrap()).await;
    assert_eq!(addresses(&start)[..2], ["m000a@contoso.test".to_owned(), name(1)]);
    assert_eq!(addresses(&start).len(), 25);
    let start = admin.get(link(&start, "Previous").unwrap()).await;
    assert_eq!(
        addresses(&start)[..3],
        [name(0), "m000a@contoso.test".to_owned(), name(1)],
        "a whole first page"
    );
    assert_eq!(addresses(&start).len(), 25);
    let last = admin.get(link(&first, "Last").unwrap()).await;
    assert_eq!(addresses(&last).last().unwrap(), "zz@contoso.test");
    assert_eq!(addresses(&last).len(), 25);
    assert_eq!((link(&last, "Next"), link(&last, "Last")), (None, None));
    let first_again = admin.get(link(&last, "First").unwrap()).await;
    assert_eq!(addresses(&first_again).len(), 25);
    // The other way round, and nonsense in the address.
    let reversed = admin.get("/mailboxes?size=25&sort=address&dir=desc").await;
    assert_eq!(addresses(&reversed)[0], "zz@contoso.test");
    assert_eq!(reversed.attribute("th[aria-sort]", "aria-sort").as_deref(), Some("descending"));
    for odd in [
        "?after=x",
        "?before=1.2",
        "?page=99",
        "?size=7",
        "?sort=nothing",
        "?n=-5",
        "?after=0.z.zzzz@zzz&n=abc",
        "?state=odd",
    ] {
        let page = admin.visit(format!("/mailboxes{odd}")).await;
        assert_eq!(page.status, StatusCode::OK, "{odd}");
    }
}

#[tokio::test]
async fn filters_narrow_the_list_and_good_news_is_said() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let (a, b) = (
        t.add_mailbox("alpha", Some(1143), None).await,
        t.add_mailbox("beta", Some(1143), None).await,
    );
    t.note(&b, Outcome::Passed, None).await;
    let page = admin.get("/mailboxes?state=failing").await;
    assert_eq!(page.text("main h2"), "No mailbox is failing");
    t.note(&a, Outcome::Failed, Some("It is broken")).await;
    let page = admin.get("/mailboxes").await;
    assert_eq!(addresses(&page), ["alpha@contoso.test", "beta@contoso.test"], "worst first");
    assert!(
        page.text("tbody tr").contains("Failing It is broken alpha@contoso.test"),
        "{}",
        page.text("tbody tr")
    );
    for (query, found) in [
        ("q=bet", vec!["beta@contoso.test"]),
        ("q=state:failing", vec!["alpha@contoso.test"]),
        ("state=working", vec!["beta@contoso.test"]),
        ("q=state:working+alpha", vec![]),
        ("auth=password", vec!["alpha@contoso.test", "beta@contoso.test"]),
        ("auth=oauth2", vec![]),
        ("on=on", vec![]),
        ("tag=none", vec![]),
        ("q=%25", vec![]),
    ] {
        let page = admin.get(format!("/mailboxes?{query}")).await;
        assert_eq!(addresses(&page), found, "{query}");
    }
    let page = admin.get("/mailboxes?state=failing&tag=helpdesk").await;
    assert_eq!(page.text("main h2"), "No mailbox matches state: failing and tag: helpdesk");
    assert_eq!(page.attribute("main .empty a", "href").as_deref(), Some("/mailboxes"));
    assert_eq!(page.attribute("#state option[selected]", "value").as_deref(), Some("failing"));
}

#[tokio::test]
async fn the_button_that_filters_has_one_word_in_all_lists() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    for list in ["/mailboxes?q=x", "/tests?mailbox=x", "/tokens?q=x"] {
        assert_eq!(admin.get(list).await.text("form.filters button"), "Filter", "{list}");
    }
}
