use super::*;
use crate::clock::Timestamp;
use crate::model::Name;
use crate::model::report::Direction;

fn steps(planned: &[Stage]) -> (Steps, watch::Receiver<Report>) {
    let name = Name::parse("support").unwrap();
    let report = Report::start(name, Direction::Incoming, "imap", Timestamp(0));
    Steps::start(report, planned.to_vec())
}

async fn fine() -> Result<Done<u8>, Failure> {
    Ok(Done::new(7, "fine").fact("n", 7))
}

async fn slowly(milliseconds: u64) -> Result<Done<()>, Failure> {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    Ok(Done::new((), "done"))
}

fn listed(report: &Report) -> Vec<(Stage, Outcome)> {
    report.steps.iter().map(|step| (step.step, step.outcome)).collect()
}

#[tokio::test]
async fn watchers_see_every_step_and_the_rest_is_skipped_after_a_failure() {
    let (mut steps, mut watcher) = steps(&[Stage::Dns, Stage::Tcp, Stage::Auth]);
    assert_eq!(steps.run(Stage::Dns, fine()).await, Ok(7));
    assert!(watcher.has_changed().unwrap());
    assert_eq!(listed(&watcher.borrow_and_update()), [(Stage::Dns, Outcome::Passed)]);
    let broken = async { Err::<Done<()>, _>(MailError::NoLogin) };
    assert_eq!(steps.run(Stage::Tcp, broken).await, Err(Stopped));
    assert_eq!(steps.run(Stage::Auth, fine()).await, Err(Stopped));
    let (report, failure) = steps.finish();
    assert_eq!(
        listed(&report),
        [
            (Stage::Dns, Outcome::Passed),
            (Stage::Tcp, Outcome::Failed),
            (Stage::Auth, Outcome::Skipped)
        ]
    );
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(failure.unwrap().own_id, Some("console-password-missing"));
}

#[tokio::test]
async fn the_deadline_is_for_the_whole_conversation_and_not_for_the_token() {
    let (steps, _watcher) = steps(&[Stage::Token, Stage::Dns, Stage::Auth, Stage::Select]);
    let mut steps = steps.allow(Duration::from_secs(1));
    steps.slow = Duration::from_millis(500);
    assert!(steps.run(Stage::Token, slowly(1100)).await.is_ok());
    assert!(steps.run(Stage::Dns, fine()).await.is_ok());
    assert!(steps.run(Stage::Auth, slowly(600)).await.is_ok());
    assert!(steps.run(Stage::Select, slowly(600)).await.is_err());
    let (report, failure) = steps.finish();
    assert_eq!(failure.unwrap().own_id, Some("console-deadline"));
    assert_eq!(report.steps[1].outcome, Outcome::Passed);
    assert_eq!(report.steps[2].outcome, Outcome::Warning);
    assert_eq!(report.steps[2].facts["slow"], true);
    assert!(report.steps[3].duration_ms < 600, "{:?}", report.steps[3]);
}

#[tokio::test]
async fn a_stage_that_somebody_stopped_is_not_taken_for_passed() {
    let (mut steps, _watcher) = steps(&[Stage::Dns, Stage::Tcp]);
    tokio::select! {
        _ = steps.run(Stage::Dns, slowly(60_000)) => panic!("too slow to finish"),
        () = tokio::time::sleep(Duration::from_millis(50)) => {}
    }
    let (report, failure) = steps.finish();
    assert_eq!(listed(&report), [(Stage::Dns, Outcome::Failed), (Stage::Tcp, Outcome::Skipped)]);
    assert_eq!(failure.unwrap().own_id, Some("console-stopped"));
}

#[tokio::test]
async fn a_parser_that_panics_fails_the_step_alone() {
    let (mut steps, _watcher) = steps(&[Stage::Dns]);
    let hurt = async {
        let empty: &str = "";
        Ok::<_, Failure>(Done::new((), &empty[1..]))
    };
    assert!(steps.run(Stage::Dns, hurt).await.is_err());
    let (_, failure) = steps.finish();
    assert_eq!(failure.unwrap().own_id, Some("console-protocol-error"));
}
