//! What a preview says besides what it would do: which mailbox here a row is about, and what is bound to fail with it.

use super::transfer::{apply, consoles, preview};
use crate::support::app::{Page, TestApp};

/// The last cell of each row: values or changes, and notes.
fn told(page: &Page) -> Vec<String> {
    let text = page.text("section[aria-labelledby=rows-h] tbody tr");
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_row_names_the_mailbox_here_that_it_changes_and_what_changes() {
    for t in consoles().await {
        let mut admin = t.admin();
        let here = "name,address,display_name,incoming.host,incoming.auth\n\
                    helpdesk,support@contoso.com,Help,imap.contoso.com,password\n\
                    sales,sales@contoso.com,Sales,imap.contoso.com,password\n";
        let (address, page) = preview(&mut admin, here, "skip").await;
        assert!(
            told(&page)
                .iter()
                .all(|row| !row.contains("here already") && !row.contains("It is about"))
        );
        apply(&mut admin, &address, &page).await;

        // Only the address is needed for a mailbox that is here, whatever it is called.
        let nameless = "address,display_name\nSupport@contoso.com,Helpdesk\n";
        let (_, skipped) = preview(&mut admin, nameless, "skip").await;
        let row = told(&skipped).join("\n");
        assert!(row.starts_with("Left as it is") && row.contains("helpdesk"), "{row}");
        let (address, page) = preview(&mut admin, nameless, "change").await;
        let row = told(&page).join("\n");
        for said in [
            "Display name: Help → Helpdesk",
            "The row has no name. It is about mailbox helpdesk, which has this address here.",
        ] {
            assert!(row.contains(said), "{said}: {row}");
        }
        apply(&mut admin, &address, &page).await;
        assert_eq!(t.mailbox("helpdesk").await.display_name, "Helpdesk");
        assert_eq!(t.count("SELECT COUNT(*) FROM mailboxes").await, 2);

        // A name that is here with another address, and an address that is here under another name.
        let rows = "name,address,incoming.host,incoming.auth\n\
                    sales,orders@contoso.com,imap.contoso.com,password\n\
                    second,support@contoso.com,imap.contoso.com,password\n";
        let (_, page) = preview(&mut admin, rows, "change").await;
        let rows = told(&page);
        let of = |name: &str| rows.iter().find(|row| row.contains(name)).cloned().unwrap_or_default();
        let (sales, second) = (of("sales"), of("second"));
        assert!(sales.contains("Email address: sales@contoso.com → orders@contoso.com"), "{sales}");
        assert!(
            sales.contains(
                "This is mailbox sales, which has the address sales@contoso.com here. To add orders@contoso.com beside it, give it another name."
            ),
            "{sales}"
        );
        assert!(
            second.contains("support@contoso.com is here already, as mailbox helpdesk. This one comes beside it."),
            "{second}"
        );
    }
}

/// A provider, a token of it for an account, and a mailbox of that account.
fn file(port: u16, scopes: &str) -> String {
    format!(
        "[[provider]]\nname = \"contoso\"\ntemplate = \"microsoft\"\ntenant = \"contoso.onmicrosoft.com\"\n\
         client_id = \"11112222-bbbb-3333-cccc-4444dddd5555\"\nclient_secret = \"canary~Q8\"\nclient_secret_expires = 2027-05-01\n\n\
         [[token]]\nname = \"support\"\nprovider = \"contoso\"\nuser = \"support@contoso.com\"\nscopes = [{scopes}]\n\n\
         [[mailbox]]\nname = \"support\"\naddress = \"support@contoso.com\"\n\
         [mailbox.incoming]\nhost = \"outlook.office365.com\"\nport = 993\nsecurity = \"tls\"\ntoken = \"support\"\n\
         [mailbox.outgoing]\nhost = \"smtp.office365.com\"\nport = {port}\nsecurity = \"starttls\"\ntoken = \"support\"\n"
    )
}

const BOTH: &str = "\"https://outlook.office.com/IMAP.AccessAsUser.All\", \"https://outlook.office.com/SMTP.Send\", \"offline_access\"";
const READS: &str = "\"https://outlook.office.com/IMAP.AccessAsUser.All\"";
const FIRST: &str = "Before the first test:";

#[tokio::test]
async fn a_preview_says_what_is_bound_to_fail_and_keeps_nothing_from_being_imported() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let (_, healthy) = preview(&mut admin, &file(587, BOTH), "skip").await;
    assert!(!healthy.words().contains(FIRST), "{}", healthy.words());

    let (address, page) = preview(&mut admin, &file(25, READS), "skip").await;
    assert!(!page.body.contains("canary"));
    let rows = told(&page);
    let of = |kind: &str| {
        rows.iter()
            .find(|row| row.starts_with(&format!("New{kind}")))
            .cloned()
            .unwrap_or_default()
    };
    let (token, mailbox) = (of("token"), of("mailbox"));
    assert!(token.contains(FIRST) && token.contains("offline_access"), "{token}");
    assert!(mailbox.contains("Port 25 is closed on the way."), "{mailbox}");
    assert!(mailbox.contains("SMTP needs: https://outlook.office.com/SMTP.Send"), "{mailbox}");
    let all = rows.join("\n");
    assert_eq!(all.matches(FIRST).count(), 3, "each cause once: {all}");
    let done = apply(&mut admin, &address, &page).await;
    assert!(done.words().contains("3 entries were imported."), "{}", done.words());

    // What is changed is looked at as it would be, not as it is.
    let mended = file(587, BOTH);
    let (_, page) = preview(&mut admin, &mended, "change").await;
    let all = told(&page).join("\n");
    assert!(!all.contains("Port 25") && !all.contains("SMTP needs"), "{all}");
}
