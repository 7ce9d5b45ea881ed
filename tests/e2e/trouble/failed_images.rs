//! A service that misbehaves: what can be labelled is labelled, and everything else fails with its code.

use costag::emulator::{Settings, Synthetic};
use rstest::rstest;

use crate::support::{Site, rows};

fn site(objects: u64, faults: &[(&str, f64)]) -> Site {
    let mut settings = Settings::default();
    for (name, probability) in faults {
        settings.set_fault(name, *probability).unwrap();
    }
    let bucket = Synthetic { objects, awkward: 0.2, labels_per_image: 5, ..Synthetic::default() };
    Site::new(bucket, settings)
}

#[rstest]
#[case::internal_error("internal_error", "InternalError")]
#[case::bad_gateway("bad_gateway", "502")]
#[case::reset("reset", "")]
#[case::stall("stall", "")]
#[case::truncated("truncated", "")]
#[case::garbage("garbage", "")]
#[case::empty_200("empty_200", "")]
#[case::endless("endless", "")]
#[case::slow_drip("slow_drip", "")]
#[case::error_200("error_200", "InternalError")]
fn temporary_failures_are_retried_until_everything_is_labelled(
    #[case] fault: &str,
    #[case] told: &str,
) {
    let site = site(40, &[(fault, 0.3)]);
    // Many endless answers at once would keep the emulator from reading other requests before their timeout.
    let workers = if fault == "endless" { "4" } else { "64" };
    let options = ["--timeout", "1s", "--log", "info", "--workers", workers];
    let ended = site.run(&options).with(0);
    site.assert_exports("camera");
    assert_eq!(site.states(), [0, 0, 40, 0]);
    let calls = site.calls();
    assert!(calls > 40, "{calls}");
    assert_eq!(site.ledger(), (calls, 0));
    // Retries are counted and shown.
    let retries = calls - 40;
    assert!(
        ended.stderr.contains(&format!("; {retries} of them repeated a failed one")),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("call failed") && ended.stderr.contains(told));
    let attempts = site.one::<i64>("SELECT count(*) FROM call WHERE outcome IN (1, 3)");
    assert_eq!(attempts.cast_unsigned(), retries);
}

#[rstest]
#[case::too_many("too_many")]
#[case::slow_down("slow_down")]
fn throttle_answers_do_not_count_as_attempts(#[case] fault: &str) {
    let site = site(40, &[(fault, 0.3)]);
    site.run(&[]).with(0);
    site.assert_exports("camera");
    let throttled = site.one::<i64>("SELECT count(*) FROM call WHERE outcome = 2");
    assert_eq!(throttled.cast_unsigned(), site.calls() - 40);
    assert!(throttled > 0);
    assert_eq!(site.one::<i64>("SELECT max(attempts) FROM content"), 0);
}

#[test]
fn an_image_fails_after_thirty_throttle_answers_in_a_run_and_its_resumes() {
    let site = site(1, &[("slow_down", 1.0)]);
    site.run(&["--max-calls", "1"]).with(8);
    assert_eq!(site.states(), [1, 0, 0, 0]);
    // Simulates a run that was resumed many times.
    let columns = "run_id, content_id, object_id, scenes, ended_at, duration_ms, outcome";
    let more = format!("INSERT INTO call ({columns}) SELECT {columns} FROM call WHERE id = 1;");
    site.tamper(&more.repeat(28));
    site.resume().with(3).says(&["SlowDown"]);
    assert_eq!(site.calls(), 2);
    assert_eq!(site.states(), [0, 0, 0, 1]);
    // A new run starts counting from zero.
    site.change(r#"{"clear":true}"#);
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 3);
    site.assert_exports("camera");
}

#[test]
fn the_limit_of_the_service_is_found_and_respected() {
    let settings = Settings { qps_limit: Some(40), ..Settings::default() };
    let bucket = Synthetic { objects: 160, ..Synthetic::default() };
    let site = Site::new(bucket, settings);
    site.run(&[]).with(0).says(&["throttled"]);
    site.assert_exports("camera");
    let statistics = site.emulator.statistics();
    let throttled = site.one::<i64>("SELECT count(*) FROM call WHERE outcome = 2").cast_unsigned();
    assert_eq!(throttled, statistics.throttled);
    assert!(throttled > 0);
    assert!(throttled < 160, "the pace follows: {throttled}");
    assert_eq!(site.ledger(), (statistics.calls, 0));
    assert_eq!(site.one::<i64>("SELECT max(attempts) FROM content"), 0);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM call WHERE outcome IN (1, 3)"), 0);
}

#[test]
fn an_answer_without_scenes_is_stored_under_camera() {
    let site = site(30, &[("legacy", 1.0)]);
    site.run(&["--scenes", "camera"]).with(0).says(&["without scenes"]);
    let camera = |rows: Vec<Vec<String>>| -> Vec<Vec<String>> {
        // The old form of the answer has only names and confidences.
        rows.into_iter().map(|row| [&row[..4], &row[6..]].concat()).collect()
    };
    assert_eq!(camera(site.export(&[])), camera(site.expected("camera")));
    site.reset();
    site.run(&["--scenes", "web,camera,news"]).with(0);
    assert_eq!(site.calls(), 30);
    site.run(&["--scenes", "web,camera,news"]).with(0);
    assert_eq!(site.calls(), 30, "all scenes are done");
}

#[rstest]
#[case::gone("not_found", "NoSuchKey", 404, "gone")]
#[case::archived("invalid_state", "InvalidObjectState", 403, "archived")]
#[case::denied("access_denied", "AccessDenied", 403, "denied")]
fn permanent_failures_are_recorded_with_their_code(
    #[case] fault: &str,
    #[case] code: &str,
    #[case] status: i64,
    #[case] verdict: &str,
) {
    let site = site(60, &[(fault, 0.3)]);
    site.run(&[]).with(3).says(&["costag status --failures", code]);
    let statistics = site.emulator.statistics();
    assert_eq!(statistics.calls, 60, "none is tried again");
    let failed = statistics.calls_by_status[&status.to_string()].cast_signed();
    assert!((5..40).contains(&failed));
    assert_eq!(site.states(), [0, 0, 60 - failed, failed]);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM failure"), failed);
    let like = format!(
        "SELECT count(*) FROM failure WHERE code = '{code}' AND http_status = {status}
         AND length(request_id) > 10 AND attempts = 1"
    );
    assert_eq!(site.one::<i64>(&like), failed);
    let verdicts = format!("SELECT count(*) FROM error WHERE verdict = '{verdict}'");
    assert_eq!(site.one::<i64>(&verdicts), failed);
    // Only images that could be labelled have rows.
    let lost: Vec<String> = {
        let database = site.database();
        let mut keys = database.prepare("SELECT key FROM failure").unwrap();
        keys.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let expected: Vec<_> =
        site.expected("camera").into_iter().filter(|row| !lost.contains(&row[0])).collect();
    assert_eq!(site.export(&[]), expected);
    let told = rows(&site.costag(&["status", "--failures", "--csv"]).with(0).stdout);
    assert_eq!(told.len(), lost.len());
    assert!(told.iter().all(|row| row.iter().any(|field| field == code)));
}

#[test]
fn the_next_night_retries_temporary_failures_but_not_bad_images() {
    let site = site(40, &[("access_denied", 0.3)]);
    site.change(r#"{"fault_keys":"IMG_"}"#);
    site.put(&[("broken.txt", "no picture")]);
    let all = ["--suffixes", "jpg,png,txt"];
    site.run(&all).with(3);
    let failed = site.states()[3];
    assert!(failed > 1);
    site.change(r#"{"clear":true}"#);
    site.reset();
    site.run(&all).with(0);
    assert_eq!(site.calls(), failed.cast_unsigned() - 1, "all but the bad image");
    site.assert_exports("camera");
    assert_eq!(site.one::<String>("SELECT key FROM failure"), "broken.txt");
    site.run(&all).with(0);
    assert_eq!(site.calls(), failed.cast_unsigned() - 1);
}

#[test]
fn a_key_that_is_gone_is_replaced_by_another_key_of_the_content() {
    let site = Site::holding(&[("a.jpg", "same"), ("b.jpg", "same"), ("c.jpg", "other")]);
    site.change(r#"{"faults":{"not_found":1.0},"fault_keys":"a.jpg"}"#);
    site.run(&[]).with(0);
    assert_eq!(site.called()["b.jpg"], 1);
    assert_eq!(site.calls(), 3);
    site.assert_exports("camera");
}

#[test]
fn all_gone_keys_of_a_content_count_as_one_attempt() {
    let site = Site::holding(&[("a.jpg", "same"), ("b.jpg", "same"), ("c.jpg", "same")]);
    site.change(r#"{"faults":{"not_found":1.0}}"#);
    site.run(&[]).with(3);
    assert_eq!(site.called().into_values().collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(site.one::<i64>("SELECT max(attempts) FROM failure"), 1);
}
