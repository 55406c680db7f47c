//! The certificate at the console's own address: what the doctor says of it, and its end among the dates.

use crate::probe::server::{Authority, Identity, Server};
use crate::support::app::TestApp;
use mailgrant::actions::doctor::{self, Check, Verdict};
use mailgrant::app::App;
use mailgrant::clock::Timestamp;
use mailgrant::model::Date;
use mailgrant::random::SystemRandom;
use mailgrant::worker::{certificate, instances};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;

const DAY: i64 = 86_400;

/// A web server in front of a console, with whatever certificate it is given.
pub struct Front {
    pub server: Server,
    pub authority: Authority,
    shown: Arc<Mutex<Identity>>,
    directory: TempDir,
}

impl Front {
    pub async fn start() -> Self {
        let authority = Authority::new();
        let shown = Arc::new(Mutex::new(authority.identity(|_| {})));
        let identity = Arc::clone(&shown);
        let script = move |peer: crate::probe::server::Peer| {
            let identity = identity.lock().unwrap().clone();
            async move { peer.encrypt(&identity).await?.wait().await }
        };
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("ca.pem"), authority.pem()).unwrap();
        Self {
            server: Server::start(None, script).await,
            authority,
            shown,
            directory,
        }
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.server.port)
    }

    /// From now on it shows this one.
    pub fn shows(&self, identity: Identity) {
        *self.shown.lock().unwrap() = identity;
    }

    /// One of an authority that the console trusts, until the beginning of this day.
    pub fn until(&self, (year, month, day): (i32, u8, u8)) {
        let identity = self
            .authority
            .identity(|params| params.not_after = rcgen::date_time_ymd(year, month, day));
        self.shows(identity);
    }

    /// A console behind it.
    async fn console(&self) -> TestApp {
        let (url, authority) = (self.url(), self.directory.path().join("ca.pem"));
        let t = TestApp::start_with(&[
            ("MAILGRANT_BASE_URL", &url),
            ("MAILGRANT_EXTRA_CA_FILE", authority.to_str().unwrap()),
            ("MAILGRANT_METRICS_NETWORKS", "127.0.0.0/8"),
        ])
        .await;
        instances::tick(&t.app).await.unwrap();
        t
    }
}

/// A console at this address.
async fn console_at(url: &str) -> TestApp {
    TestApp::start_with(&[("MAILGRANT_BASE_URL", url)]).await
}

async fn check(t: &TestApp) -> Check {
    let checks = doctor::examine(&t.app).await.unwrap();
    let mut found = checks.into_iter().filter(|check| check.name == "certificate");
    let check = found.next().unwrap();
    assert_eq!(found.next(), None);
    check
}

/// What the doctor says while this is shown.
async fn said(front: &Front, t: &TestApp, identity: Identity) -> (Verdict, String, String) {
    front.shows(identity);
    let Check { verdict, detail, help, .. } = check(t).await;
    (verdict, detail, help)
}

#[tokio::test]
async fn the_doctor_says_until_when_it_is_good_and_what_is_wrong_with_it() {
    let front = Front::start().await;
    let t = front.console().await;
    let of = |change: &dyn Fn(&mut rcgen::CertificateParams)| front.authority.identity(|params| change(params));
    let until = |year| move |params: &mut rcgen::CertificateParams| params.not_after = rcgen::date_time_ymd(year, 1, 15);

    let (verdict, detail, help) = said(&front, &t, of(&until(2090))).await;
    assert_eq!((verdict, help.as_str()), (Verdict::Ok, ""), "{detail}");
    assert!(detail.starts_with("good until 15 Jan 2090, ends in "), "{detail}");
    assert!(detail.ends_with("days; issued by Test authority"), "{detail}");

    let (verdict, detail, help) = said(&front, &t, of(&until(2021))).await;
    assert_eq!(verdict, Verdict::Failed);
    let ended = "ended on 15 Jan 2021 (issued by Test authority); sign-ins at providers can't come back";
    assert_eq!(detail, ended);
    assert!(help.starts_with("renew it where https is set up"), "{help}");

    let elsewhere = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("mail.elsewhere.test".try_into().unwrap())];
    };
    for identity in [of(&elsewhere), Authority::named("A router").identity(elsewhere)] {
        let (verdict, detail, help) = said(&front, &t, identity).await;
        assert_eq!(verdict, Verdict::Failed);
        assert!(
            detail.contains("is for mail.elsewhere.test, not for localhost (issued by "),
            "{detail}"
        );
        assert!(help.contains("a certificate for localhost, or correct the base URL"), "{help}");
    }

    for (identity, why) in [
        (
            Authority::named("A stranger").identity(|_| {}),
            "issuer is not trusted here (issued by A stranger",
        ),
        (Identity::self_signed(), "is signed by itself"),
    ] {
        let (verdict, detail, help) = said(&front, &t, identity).await;
        assert_eq!(verdict, Verdict::Failed);
        assert!(
            detail.starts_with("not trusted by this machine: ") && detail.contains(why),
            "{detail}"
        );
        assert!(
            help.contains("the whole chain") && help.contains("MAILGRANT_EXTRA_CA_FILE"),
            "{help}"
        );
    }
}

/// Two weeks are enough to do something about it.
#[tokio::test]
async fn fourteen_days_before_its_end_the_doctor_warns() {
    let front = Front::start().await;
    let t = front.console().await;
    front.until((2090, 1, 15));
    let end = Date::parse("2090-01-15").unwrap().days_from(Timestamp(0)) * DAY;
    for (left, verdict, words) in [
        (15 * DAY, Verdict::Ok, "good until 15 Jan 2090, ends in 15 days"),
        (
            14 * DAY,
            Verdict::Warning,
            "ends in 14 days, on 15 Jan 2090; issued by Test authority",
        ),
        (DAY, Verdict::Warning, "ends tomorrow, on 15 Jan 2090"),
        (0, Verdict::Failed, "ended on 15 Jan 2090"),
    ] {
        t.clock.set_by(end - left - t.app.clock.now().0);
        let found = check(&t).await;
        assert_eq!(found.verdict, verdict, "{found:?}");
        assert!(found.detail.starts_with(words), "{found:?}");
    }
}

#[tokio::test]
async fn where_nothing_can_be_seen_the_doctor_says_why_and_that_it_may_be_normal() {
    let t = TestApp::start().await;
    let found = check(&t).await;
    assert_eq!(
        (found.verdict, found.detail.as_str()),
        (Verdict::Ok, "none needed: the console is reached by http")
    );

    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    // It takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = Server::start(None, |mut peer| async move { peer.say("HTTP/1.0 400 Bad Request").await }).await;
    for (port, why) in [
        (unused, "Connection refused"),
        (silent.local_addr().unwrap().port(), "no answer within 5 seconds"),
        (plain.port, "does not speak TLS on this port"),
    ] {
        let t = console_at(&format!("https://127.0.0.1:{port}")).await;
        let found = check(&t).await;
        assert_eq!(found.verdict, Verdict::Warning, "{found:?}");
        let begins = format!("this console can't reach its own address 127.0.0.1:{port}: ");
        assert!(found.detail.starts_with(&begins) && found.detail.contains(why), "{found:?}");
        assert!(found.help.contains("behind NAT that is normal"), "{found:?}");
    }

    // Where the gate doesn't lead, it says which setting would.
    for (url, why, help) in [
        (
            "https://10.77.0.1",
            "can't be looked at: 10.77.0.1 is in a network that this console may not connect to",
            "add 10.77.0.1 to MAILGRANT_ALLOW_NETWORKS, and its end is watched",
        ),
        (
            "https://203.0.113.7.invalid:1",
            "this console can't reach its own address 203.0.113.7.invalid:1: 203.0.113.7.invalid: ",
            "",
        ),
        (
            "https://8.8.8.8:8443",
            "can't be looked at: this console may not connect to port 8443",
            "add 8.8.8.8 to MAILGRANT_ALLOW_NETWORKS, and its end is watched",
        ),
        (
            "https://169.254.169.254",
            "can't be looked at: 169.254.169.254 stands for an address that is never allowed",
            "watch its end from elsewhere",
        ),
    ] {
        let t = console_at(url).await;
        let found = check(&t).await;
        assert_eq!(found.verdict, Verdict::Warning, "{found:?}");
        assert!(found.detail.starts_with(why) && found.help.starts_with(help), "{found:?}");
    }
}

#[tokio::test]
async fn its_end_is_among_the_dates_and_leads_to_the_checks() {
    let front = Front::start().await;
    let t = front.console().await;
    t.add_mailbox("m", Some(1143), None).await;
    assert!(!t.viewer().get("/expiry").await.has("tbody"), "it was never seen");
    // One for another name is not this console's.
    front.shows(front.authority.identity(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("router.test".try_into().unwrap())];
    }));
    certificate::tick(&t.app).await.unwrap();
    assert!(!t.viewer().get("/expiry").await.has("tbody"));

    front.until((2026, 12, 1));
    t.clock.advance(3600);
    certificate::tick(&t.app).await.unwrap();
    let person = t.app.store.users().await.unwrap().remove(0).id;
    let mut viewer = t.browser_with(&t.session_for(&person).await);
    let page = viewer.get("/expiry").await;
    let row = page.text("tbody tr");
    for part in [
        "Certificate of this console",
        "10 days",
        "1 Dec 2026",
        "No mailbox",
        "See the checks",
    ] {
        assert!(row.contains(part), "{part} is missing in {row}");
    }
    for link in ["tbody td a", "tbody td a.btn"] {
        assert_eq!(page.attribute(link, "href").as_deref(), Some("/about"));
    }
    assert!(page.has("#kind option[value='console-certificate']"));
    assert!(viewer.get("/expiry?kind=console-certificate&within=14").await.has("tbody"));
    assert!(!viewer.get("/expiry?kind=certificate").await.has("tbody"), "that is a provider's");
    let csv = viewer.post("/expiry/dates.csv", &[]).await.body;
    let line = format!(
        "Certificate of this console,console-certificate,,,localhost:{},10,2026-12-01,2026-12-01T00:00:00Z,0,0",
        front.server.port
    );
    assert!(csv.lines().any(|found| found == line), "{csv}");
    let calendar = viewer.post("/expiry/calendar.ics", &[]).await.body;
    assert!(
        calendar.contains("UID:console-certificate@localhost") && calendar.contains("SUMMARY:Certificate of this console expires"),
        "{calendar}"
    );

    let overview = viewer.get("/").await;
    assert!(overview.text(".runway li").contains("Certificate of this console"));
    assert_eq!(
        overview.text(".todo h3").lines().next(),
        Some("The certificate of this console expires in 10 days")
    );
    assert_eq!(overview.attribute(".todo .acts a", "href").as_deref(), Some("/about"));
    let metrics = t.anonymous().get("/metrics").await.body;
    let line = "mailgrant_expiry_days{provider=\"\",kind=\"console-certificate\"} 10";
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
}

/// Who looks at it asks once a day, and a new one is known within an hour of the end of the old one.
#[tokio::test]
async fn it_is_looked_at_once_a_day_by_one_instance_and_remembered_while_it_can_not_be_seen() {
    let front = Front::start().await;
    let t = front.console().await;
    front.until((2027, 1, 1));
    let look = async |seconds| {
        t.clock.advance(seconds);
        instances::tick(&t.app).await.unwrap();
        certificate::tick(&t.app).await.unwrap();
        front.server.connections()
    };
    assert_eq!((look(0).await, look(DAY - 1).await, look(1).await), (1, 1, 2));
    // An instance beside it leaves that to the first one, though it is time.
    t.clock.advance(DAY);
    let other = another(&t).await;
    certificate::tick(&other).await.unwrap();
    assert_eq!(front.server.connections(), 2);
    assert_eq!(look(0).await, 3);

    let session = t.session_for(&t.app.store.users().await.unwrap()[0].id).await;
    let date = async || {
        let page = t.browser_with(&session).get("/expiry").await;
        page.attribute("tbody time", "datetime").unwrap_or_default()
    };
    assert_eq!(date().await, "2027-01-01");
    front.until((2028, 1, 1));
    check(&t).await;
    assert_eq!(date().await, "2028-01-01", "the doctor remembers what it saw, too");
    drop(front);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let found = check(&t).await;
    assert!(
        found
            .detail
            .ends_with("; when it was last seen, on 23 Nov 2026, it was good until 1 Jan 2028"),
        "{found:?}"
    );
    assert_eq!(date().await, "2028-01-01");
}

/// Another process on the same data, so to speak.
async fn another(t: &TestApp) -> App {
    let config = (*t.app.config).clone();
    let other = App::open(config, Arc::clone(&t.app.clock), Arc::new(SystemRandom)).await.unwrap();
    instances::tick(&other).await.unwrap();
    other
}
