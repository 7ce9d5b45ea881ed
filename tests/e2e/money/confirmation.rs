//! On a terminal, a run asks before it uses more units of billing than `confirm_above`.

use costag::emulator::{Settings, Synthetic};

use crate::support::{BUCKET, Site, wait_until};

fn site() -> Site {
    let settings = Settings { latency_ms: 5, ..Settings::default() };
    let bucket = Synthetic { objects: 1500, ..Synthetic::default() };
    Site::new(bucket, settings)
}

const QUESTION: &str = "continue calling?";

#[test]
fn a_run_asks_on_a_terminal_and_a_no_ends_it_before_the_next_call() {
    let site = site();
    let arguments = format!("run {BUCKET} --confirm-above 40 --price-per-1000-calls 2");
    let Some(mut run) = site.start_on_a_terminal(&arguments) else { return };
    wait_until("the question", || run.stdout().contains(QUESTION));
    // While it waits for an answer, it lists everything and makes the calls that need no confirmation.
    wait_until("the whole listing", || site.one::<i64>("SELECT count(*) FROM object") == 1500);
    wait_until("the calls before it", || site.calls() >= 40);
    wait_until("the whole number", || run.stdout().contains("needs 1,500 calls"));
    run.types("n\n");
    let ended = run.end().with(8);
    assert!(ended.stdout.contains("needs 1,500 calls, about 3.00 CNY"), "{}", ended.stdout);
    assert!(ended.stdout.contains("it may use 40 units"), "{}", ended.stdout);
    assert!(ended.stdout.contains("costag resume"), "{}", ended.stdout);
    assert_eq!(site.calls(), 40, "nothing above was called");
    assert_eq!(site.ledger(), (40, 0));
    site.assert_sound();
    // Without a terminal it does not ask.
    site.costag(&["resume", "--confirm-above", "40"]).with(0);
    assert_eq!(site.calls(), 1500);
}

#[test]
fn a_run_asks_as_soon_as_the_listing_exceeds_the_bound() {
    // At this pace, the calls that need no confirmation alone would take 15 minutes.
    let site = site();
    let arguments = format!("run {BUCKET} --confirm-above 1000 --qps 1");
    let Some(mut run) = site.start_on_a_terminal(&arguments) else { return };
    wait_until("the question", || run.stdout().contains(QUESTION));
    assert!(site.calls() < 100);
    wait_until("the time", || run.stdout().contains("1,500 calls, 25 min 0 s at 1/s"));
    run.types("n\n");
    run.end().with(8);
    assert!(site.calls() < 100);
}

#[test]
fn the_question_counts_scenes_and_retries() {
    let site = site();
    let two = format!("run {BUCKET} --confirm-above 41 --scenes web,camera");
    let Some(mut run) = site.start_on_a_terminal(&two) else { return };
    wait_until("the question", || run.stdout().contains("1,500 calls, which bill 3,000 scenes"));
    wait_until("the calls before it", || site.calls() >= 20);
    run.types("n\n");
    run.end().with(8);
    assert_eq!(site.calls(), 20, "forty scenes, and the next call would ask for the 42nd");
    // Thirty-six images; twelve of them have to be called twice.
    site.reset();
    let key = |number| format!("r/{}{number}.jpg", if number < 12 { "twice" } else { "once" });
    let keys: Vec<String> = (0..36).map(key).collect();
    let objects: Vec<_> = keys.iter().map(|key| (key.as_str(), key.as_str())).collect();
    site.put(&objects);
    site.change(r#"{"faults":{"internal_error":1.0},"fault_attempts":1,"fault_keys":"twice"}"#);
    let again = format!("run {BUCKET}/r/ --confirm-above 40 --db retries.db");
    let before = site.calls();
    let Some(mut run) = site.start_on_a_terminal(&again) else { return };
    wait_until("the question", || run.stdout().contains(QUESTION));
    wait_until("the calls before it", || site.calls() - before >= 40);
    run.types("y\n");
    run.end().with(0);
    assert_eq!(site.calls() - before, 48);
}

#[test]
fn a_run_does_not_ask_about_calls_that_a_limit_forbids() {
    let site = site();
    for limit in ["--max-calls 40", "--limit 40", "--sample 40", "--daily-calls 160"] {
        let arguments = format!("run {BUCKET} --confirm-above 40 {limit}");
        let Some(run) = site.start_on_a_terminal(&arguments) else { return };
        let ended = run.end();
        assert!(!ended.stdout.contains(QUESTION), "{limit}: {}", ended.stdout);
    }
    assert_eq!(site.calls(), 160);
    let trial = format!("run {BUCKET} --confirm-above 40 --limit 50");
    let Some(mut run) = site.start_on_a_terminal(&trial) else { return };
    wait_until("the question", || run.stdout().contains("needs 50 calls"));
    run.types("y\n");
    run.end().with(0);
    assert_eq!(site.calls(), 210);
}

#[test]
fn a_yes_or_the_option_yes_allows_the_remaining_calls() {
    let site = site();
    let Some(mut run) = site.start_on_a_terminal(&format!("run {BUCKET} --confirm-above 40"))
    else {
        return;
    };
    wait_until("the question", || run.stdout().contains(QUESTION));
    run.types("y\n");
    run.end().with(0);
    assert_eq!(site.calls(), 1500);
    let more = format!("run {BUCKET} --scenes web --confirm-above 40 -y");
    let ended = site.start_on_a_terminal(&more).map(|run| run.end().with(0));
    assert!(ended.is_some_and(|ended| !ended.stdout.contains(QUESTION)));
    assert_eq!(site.calls(), 3000);
    site.assert_sound();
}

#[test]
fn doctor_and_retag_ask_on_a_terminal() {
    let site = site();
    let Some(mut doctor) = site.start_on_a_terminal(&format!("doctor {BUCKET}")) else { return };
    wait_until("the question", || doctor.stdout().contains("the call is paid"));
    doctor.types("\n");
    let ended = doctor.end().with(0);
    assert!(ended.stdout.contains("not called"), "{}", ended.stdout);
    assert_eq!(site.calls(), 0);
    site.run(&["--limit", "30"]).with(0);
    let before = site.tables(&[]);
    let Some(mut retag) = site.start_on_a_terminal("retag --all") else { return };
    wait_until("the question", || retag.stdout().contains("put back 30 images"));
    retag.types("no\n");
    let ended = retag.end().with(0);
    assert!(ended.stdout.contains("nothing was changed"), "{}", ended.stdout);
    assert_eq!(site.tables(&[]), before);
}

#[test]
fn a_resume_asks_like_a_run() {
    let site = Site::plain(100);
    let run = format!("run {BUCKET} --confirm-above 30");
    let Some(mut run) = site.start_on_a_terminal(&run) else { return };
    wait_until("the question", || run.stdout().contains("continue calling? [y/N]"));
    wait_until("the calls below the bound", || site.calls() == 30);
    run.types("n\n");
    run.end().with(8);
    assert_eq!(site.calls(), 30);
    let Some(mut resume) = site.start_on_a_terminal("resume --confirm-above 30") else { return };
    wait_until("the question", || resume.stdout().contains("continue calling? [y/N]"));
    resume.types("y\n");
    resume.end().with(0);
    assert_eq!(site.calls(), 100);
}
