//! `costag plan` makes no call and predicts what the run will do.

use costag::emulator::{Settings, Synthetic};
use rstest::rstest;
use serde_json::Value;

use crate::support::{BUCKET, Site};

fn plan(site: &Site, options: &[&str]) -> Value {
    let before = site.calls();
    let plan = site.json(&[&["plan", BUCKET, "--json"], options].concat());
    assert_eq!(site.calls(), before, "a plan calls nothing");
    plan
}

/// Runs, and asserts that the run does what the plan has just predicted.
#[track_caller]
fn assert_run_keeps(plan: &Value, site: &Site, options: &[&str]) {
    let before = site.calls();
    site.run(options).with(0);
    assert_eq!(site.calls() - before, plan["calls"].as_u64().unwrap(), "{plan}");
    let counts: String = site.one("SELECT counts FROM run ORDER BY id DESC LIMIT 1");
    let counts: Value = serde_json::from_str(&counts).unwrap();
    assert_eq!(counts["listed"], plan["listed"]);
    assert_eq!(counts["wanted"], plan["wanted"]);
}

fn night() -> Site {
    let bucket = Synthetic {
        objects: 400,
        duplicates: 0.25,
        non_images: 0.1,
        archived: 0.1,
        ..Synthetic::default()
    };
    Site::new(bucket, Settings::default())
}

#[test]
fn a_plan_makes_no_call_and_its_numbers_come_true() {
    let site = night();
    let first = plan(&site, &["--price-per-1000-calls", "2"]);
    let number = |name: &str| first[name].as_u64().unwrap();
    assert_eq!(number("calls"), site.contents());
    assert_eq!(number("listed"), 400);
    let skipped: u64 =
        first["skipped"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(number("wanted") + skipped, 400);
    assert!(first["skipped"]["archive"].as_u64().unwrap() > 0, "{first}");
    assert_eq!(number("need_no_call"), number("wanted") - number("calls"));
    let cost = first["cost"].as_f64().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let expected = number("calls") as f64 * 0.002;
    assert!((cost - expected).abs() < 1e-9, "{cost}");
    let again = plan(&site, &[]);
    assert_eq!(again["calls"], first["calls"], "planning twice changes nothing");
    site.assert_sound();
    assert_run_keeps(&first, &site, &[]);
    site.assert_exports("camera");
    let nothing = plan(&site, &[]);
    assert_eq!((&nothing["calls"], &nothing["need_no_call"]), (&0.into(), &first["wanted"]));
    let text = site.costag(&["plan", BUCKET]).with(0).stdout;
    assert!(text.contains("nothing to call"), "{text}");
    site.assert_sound();
}

#[test]
fn a_run_with_other_scenes_after_a_plan_calls_what_is_missing() {
    let site = night();
    let contents = site.contents();
    plan(&site, &["--scenes", "camera"]);
    site.run(&["--scenes", "web"]).with(0);
    assert_eq!(site.calls(), contents);
    site.assert_exports("web");
    let more = plan(&site, &["--scenes", "web,news"]);
    assert_eq!(more["calls_by_scenes"]["news"], contents);
    assert_run_keeps(&more, &site, &["--scenes", "web,news"]);
    assert_eq!(
        site.one::<i64>("SELECT count(*) FROM call WHERE scenes = 4").cast_unsigned(),
        contents
    );
    for scene in ["web", "news"] {
        assert_eq!(site.export(&["--scene", scene]), site.expected(scene));
    }
    site.assert_sound();
}

#[test]
fn a_plan_takes_nothing_away_from_an_unfinished_run() {
    let site = night();
    let contents = site.contents();
    site.run(&["--max-calls", "40"]).with(8);
    let waiting = plan(&site, &[]);
    assert_eq!(waiting["calls"], contents - 40, "what waits is counted");
    plan(&site, &["--scenes", "web"]);
    site.costag(&["plan", &format!("{BUCKET}/albums/")]).with(0);
    site.resume().with(0).says(&["run 1"]);
    assert_eq!(site.calls(), contents);
    assert_eq!(site.called().values().max(), Some(&1));
    site.assert_exports("camera");
    site.assert_sound();
    assert_eq!(site.one::<i64>("SELECT count(*) FROM content WHERE state = 0"), 0);
}

#[test]
fn a_plan_counts_what_other_filters_have_excluded() {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2"), ("c.png", "3")]);
    site.run(&["--max-calls", "1"]).with(8);
    site.run(&["--suffixes", "png"]).with(0);
    let told = plan(&site, &[]);
    assert_eq!(told["calls"], 3 - site.calls());
    site.assert_sound();
    assert_run_keeps(&told, &site, &[]);
    site.assert_exports("camera");
}

#[test]
fn a_plan_shows_the_time_and_whether_it_fits_the_window() {
    let site = Site::plain(200);
    let told = plan(&site, &["--qps", "10", "--max-duration", "5s"]);
    assert_eq!(told["configured_seconds"], 20.0);
    assert_eq!(told["fits_the_window"], false);
    let told = plan(&site, &["--qps", "10", "--max-duration", "1m"]);
    assert_eq!(told["fits_the_window"], true);
    assert!(plan(&site, &["--until", "23:59"])["window_seconds"].is_number());
    let told = plan(&site, &["--qps", "0"]);
    assert_eq!((&told["configured_seconds"], &told["measured_pace"]), (&Value::Null, &Value::Null));
    site.run(&["--qps", "80", "--max-calls", "100"]).with(8);
    let told = plan(&site, &[]);
    let measured = told["measured_pace"].as_f64().unwrap();
    assert!((20.0..=100.0).contains(&measured), "{told}");
    let text = site.costag(&["plan", BUCKET, "--until", "06:30", "--qps", "1"]).with(0).stdout;
    assert!(text.contains("06:30") && text.contains("calls"), "{text}");
}

#[test]
fn a_plan_of_a_list_is_not_a_run_to_resume() {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2"), ("copy.jpg", "1")]);
    let list = site.write("keys.txt", "a.jpg\nb.jpg\ncopy.jpg\n");
    let told = plan(&site, &["--keys", &list]);
    assert_eq!(told["calls"], 2);
    site.resume().with(0).says(&["nothing to resume"]);
    site.run(&["--keys", &list]).with(0);
    assert_eq!(site.calls(), 2);
    site.assert_sound();
}

#[test]
fn a_plan_of_a_list_counts_contents_and_not_keys() {
    let site = Site::holding(&[
        ("a.jpg", "1"),
        ("b.jpg", "2"),
        ("copy.jpg", "1"),
        ("bad.jpg", "3"),
        ("other.jpg", "4"),
    ]);
    site.change(r#"{"faults":{"invalid_state":1.0},"fault_keys":"bad"}"#);
    let list = site.write("keys.txt", "a.jpg\nb.jpg\n");
    site.run(&["--scenes", "web", "--keys", &list]).with(0);
    site.run(&[]).with(3);
    let list = site.write("keys.txt", "a.jpg\ncopy.jpg\nbad.jpg\nnowhere.jpg\nother.jpg\n");
    let options = ["--keys", &list, "--scenes", "web,camera"];
    let told = plan(&site, &options);
    assert_eq!(told["calls"], 1, "{told}");
    assert_eq!((&told["calls_by_scenes"]["web"], &told["given_up"]), (&1.into(), &1.into()));
    assert_eq!((&told["wanted"], &told["need_no_call"]), (&4.into(), &2.into()));
    let before = site.calls();
    site.run(&options).with(3);
    assert_eq!(site.calls() - before, 1);
    let lines = site.one::<i64>("SELECT count(*) FROM list_item");
    assert_eq!(lines, 0, "a plan's list is forgotten by the next run");
    site.assert_sound();
}

#[test]
fn a_plan_fails_for_the_same_reasons_as_a_run() {
    let site = Site::plain(10);
    site.change(r#"{"faults":{"list_access_denied":1.0}}"#);
    site.costag(&["plan", BUCKET]).with(6).says(&["cos:GetBucket"]);
    site.costag(&["plan", "photos"]).with(2);
    assert_eq!(site.calls(), 0);
}

/// Two labelled images, a copy of one of them that no run has listed, and a new picture.
fn with_a_copy() -> Site {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2"), ("bad.jpg", "no picture")]);
    site.run(&[]).with(0);
    site.put(&[("copy.jpg", "1"), ("new.jpg", "3")]);
    site.reset();
    site
}

#[test]
fn a_plan_with_another_scene_hides_nothing_from_the_run() {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2")]);
    site.run(&[]).with(0);
    site.put(&[("copy.jpg", "1")]);
    let keys = site.write("copy.txt", "copy.jpg\n");
    for options in [
        &["--include", "copy*", "--scenes", "camera,web"][..],
        &["--keys", &keys, "--scenes", "web"],
    ] {
        site.reset();
        let told = plan(&site, options);
        assert_eq!(told["calls"], 1, "{told}");
        assert_eq!(plan(&site, options)["calls"], 1);
        assert_run_keeps(&told, &site, options);
        assert_eq!(site.calls(), 1);
        site.costag(&["retag", "--all", "--scene", "web"]).with(0);
    }
    site.assert_sound();
}

/// A run makes the calls that its own plan predicted, whatever other plans come between.
#[rstest]
#[case::the_same(&[], &[&[][..]])]
#[case::more_scenes(&["--scenes", "camera,web"], &[&["--scenes", "camera,web"][..]])]
#[case::fewer_files(&[], &[&["--include", "copy*"][..], &["--exclude", "new*"]])]
#[case::no_files(&["--scenes", "web"], &[&["--exclude", "**"][..]])]
#[case::without_dedupe(&[], &[&["--no-dedupe"][..]])]
#[case::a_list(&["--scenes", "web"], &[&["--keys", "keys.txt"][..]])]
#[case::of_a_list(&["--keys", "keys.txt", "--allow-missing"], &[&["--scenes", "web"][..], &["--suffixes", "png"]])]
fn plans_change_nothing_that_a_later_run_depends_on(
    #[case] options: &[&str],
    #[case] between: &[&[&str]],
) {
    let site = with_a_copy();
    site.write("keys.txt", "copy.jpg\nnew.jpg\ncopy.jpg\nnowhere.jpg\na.jpg\n");
    let tables = || site.tables(&["run", "range", "bucket", "meta"]);
    let before = tables();
    let told = plan(&site, options);
    for other in between {
        plan(&site, other);
    }
    assert_eq!(plan(&site, options)["calls"], told["calls"]);
    assert_eq!(tables(), before, "nothing but the plans' own rows is kept");
    site.assert_sound();
    assert_run_keeps(&told, &site, options);
    let counts: String = site.one("SELECT counts FROM run ORDER BY id DESC LIMIT 1");
    let counts: Value = serde_json::from_str(&counts).unwrap();
    for name in ["added", "changed", "gone"] {
        assert_eq!(counts[name], told[name], "{name}");
    }
    site.assert_sound();
}

/// The run continues one that was interrupted during its listing, and so does its plan.
#[test]
fn a_plan_predicts_the_run_that_continues_an_unfinished_one() {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2"), ("c.jpg", "3")]);
    site.run(&["--max-calls", "1"]).with(8);
    // Make the run look as if it had been interrupted after the second key.
    site.tamper(
        "UPDATE range SET done = 0, cursor = 'b.jpg'; UPDATE run SET listed_at = NULL;
         UPDATE content SET run_id = NULL WHERE id = 3",
    );
    site.put(&[("0.jpg", "before what was listed"), ("d.jpg", "behind it")]);
    let told = plan(&site, &[]);
    assert_eq!(told["calls"], 3, "b, c and d: {told}");
    let before = site.tables(&["range", "run"]);
    assert_eq!(plan(&site, &[])["calls"], 3);
    assert_eq!(site.tables(&["range", "run"]), before);
    let called = site.calls();
    site.run(&[]).with(0).says(&["run 1"]);
    assert_eq!(site.calls() - called, 3);
    site.assert_sound();
    let told = plan(&site, &[]);
    assert_eq!(told["calls"], 1);
    assert_run_keeps(&told, &site, &[]);
    site.assert_exports("camera");
}

#[test]
fn a_plan_does_not_count_as_a_listing() {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2")]);
    plan(&site, &[]);
    site.run(&[]).with(0).says(&["changes   2 added\n"]);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM change"), 0, "nothing to compare with");
    site.delete(&["a.jpg"]);
    assert_eq!(plan(&site, &[])["gone"], 1);
    site.run(&[]).with(0).says(&["changes   1 gone\n"]);
    plan(&site, &[]);
    let changes = site.costag(&["changes", "--csv"]).with(0).stdout;
    assert!(changes.contains("gone") && changes.contains("a.jpg"), "{changes}");
    let status = site.costag(&["status"]).with(0).stdout;
    assert!(status.contains("complete (plan)"), "{status}");
    site.assert_sound();
}

#[test]
fn a_plan_that_is_killed_leaves_nothing() {
    let bucket = Synthetic { objects: 5_000, ..Synthetic::default() };
    let site = Site::new(bucket, Settings { list_latency_ms: 100, ..Settings::default() });
    let mut program = site.start(&["plan", BUCKET, "--list-workers", "1"]);
    crate::support::wait_until("some pages", || site.emulator.statistics().list_calls >= 3);
    assert!(!program.has_ended());
    program.kill();
    assert_eq!(site.one::<i64>("SELECT count(*) FROM object"), 0);
    site.change(r#"{"list_latency_ms":0}"#);
    site.resume().with(0).says(&["nothing to resume"]);
    let told = plan(&site, &[]);
    assert_eq!(told["listed"], 5_000);
    site.assert_sound();
}

#[rstest]
#[case::limit(&["--limit", "25"], 25, 0)]
#[case::sample(&["--sample", "25"], 25, 0)]
#[case::calls(&["--max-calls", "30"], 30, 8)]
#[case::a_day(&["--daily-calls", "35"], 35, 8)]
#[case::a_cost(&["--max-cost", "0.1", "--price-per-1000-calls", "2", "--scenes", "web,camera"], 25, 8)]
#[case::a_cost_by_call(
    &["--max-cost", "0.1", "--price-per-1000-calls", "2", "--scenes", "web,camera", "--billing", "call"],
    50,
    8
)]
#[case::the_smallest(&["--limit", "40", "--max-calls", "12", "--daily-calls", "50"], 12, 8)]
#[case::more_than_there_is(&["--limit", "5000", "--max-calls", "5000"], 100, 0)]
fn a_plan_shows_what_the_limits_allow_and_what_remains(
    #[case] limits: &[&str],
    #[case] calls: u64,
    #[case] code: i32,
) {
    let site = Site::plain(100);
    let told = plan(&site, limits);
    assert_eq!((&told["calls"], &told["calls_at_least"]), (&calls.into(), &calls.into()), "{told}");
    assert_eq!(told["remaining_calls"], 100 - calls, "{told}");
    let limited = told["limited_by"].as_array().unwrap();
    assert_eq!(limited.len(), usize::from(calls < 100), "{told}");
    let text = site.costag(&[&["plan", BUCKET], limits].concat()).with(0).stdout;
    if calls < 100 {
        assert!(text.contains(&format!("{calls} by this run ({}", limits[0])) || limits.len() > 5);
        assert!(
            text.contains(&format!("remain    {} calls after this run", 100 - calls)),
            "{text}"
        );
    }
    site.run(limits).with(code);
    assert_eq!(site.calls(), calls);
    // The next plan is about what remains.
    let again = plan(&site, &[]);
    assert_eq!((&again["calls"], &again["remaining_calls"]), (&(100 - calls).into(), &0.into()));
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 100);
}

#[test]
fn a_plan_counts_what_an_unfinished_trial_and_the_day_have_left() {
    let site = Site::plain(100);
    site.run(&["--limit", "40", "--max-calls", "15"]).with(8);
    let told = plan(&site, &["--limit", "40"]);
    assert_eq!((&told["calls"], &told["remaining_calls"]), (&25.into(), &60.into()), "{told}");
    let told = plan(&site, &["--daily-calls", "50"]);
    assert_eq!((&told["calls"], &told["remaining_calls"]), (&35.into(), &50.into()), "{told}");
    site.run(&["--limit", "40"]).with(0);
    assert_eq!(site.calls(), 40);
    let told = plan(&site, &["--limit", "40"]);
    assert_eq!((&told["calls"], &told["remaining_calls"]), (&40.into(), &20.into()), "{told}");
    site.run(&["--limit", "40"]).with(0);
    assert_eq!(site.calls(), 80);
}

#[test]
fn a_plan_distinguishes_limits_without_calls_from_a_bucket_without_work() {
    let site = Site::plain(10);
    let options = ["--max-cost", "0.001", "--price-per-1000-calls", "2"];
    let text = site.costag(&[&["plan", BUCKET][..], &options].concat()).with(0).stdout;
    assert!(text.contains("0 by this run (--max-cost 0.001"), "{text}");
    assert!(text.contains("next: these limits allow no call"), "{text}");
    site.run(&options).with(8);
    assert_eq!(site.calls(), 0);
    site.run(&[]).with(0);
    let text = site.costag(&[&["plan", BUCKET][..], &options].concat()).with(0).stdout;
    assert!(text.contains("next: nothing to call"), "{text}");
}

#[test]
fn a_plan_with_a_cost_limit_shows_the_fewest_and_the_most_calls() {
    let site = Site::plain(60);
    site.run(&["--limit", "30", "--scenes", "web"]).with(0);
    let options = ["--scenes", "web,camera", "--max-cost", "40", "--price-per-1000-calls", "1000"];
    let told = plan(&site, &options);
    assert_eq!((&told["calls"], &told["calls_at_least"]), (&35.into(), &20.into()), "{told}");
    let text = site.costag(&[&["plan", BUCKET], &options[..]].concat()).with(0).stdout;
    assert!(text.contains("20 to 35 by this run"), "{text}");
    let before = site.calls();
    site.run(&options).with(8);
    assert!((20..=35).contains(&(site.calls() - before)));
}

#[test]
fn a_plan_shows_what_the_service_may_refuse_and_leaves_nothing_out() {
    let site = Site::holding(&[
        ("a.jpg", "1"),
        ("b.PNG", "2"),
        ("c.gif", "3"),
        ("d.webp", "4"),
        ("e.txt", "5"),
        ("f.JPEG", &"x".repeat((3 << 20) + 1)),
        ("g.jpg", &"x".repeat(3 << 20)),
    ]);
    let told = plan(&site, &[]);
    assert_eq!((&told["larger_than_3_mb"], &told["other_formats"]), (&1.into(), &2.into()));
    assert_eq!(told["calls"], 6, "nothing is left out: {told}");
    let text = site.costag(&["plan", BUCKET]).with(0).stdout;
    for part in ["of 6 wanted objects, 1 is larger", "--max-size 3M", "2 are neither", "--suffixes"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let doctor = site.costag(&["doctor", BUCKET]).with(0).stdout;
    assert!(doctor.contains("of 6 wanted objects among its first 7 keys, 1 is"), "{doctor}");
    let options = ["--max-size", "3M", "--suffixes", "png,jpg,jpeg"];
    let told = plan(&site, &options);
    assert_eq!((&told["larger_than_3_mb"], &told["other_formats"]), (&0.into(), &0.into()));
    let text = site.costag(&[&["plan", BUCKET], &options[..]].concat()).with(0).stdout;
    assert!(!text.contains("doubtful"), "{text}");
    let list = site.write("keys.txt", "a.jpg\nc.gif\nf.JPEG\n");
    let told = plan(&site, &["--keys", &list]);
    assert_eq!((&told["larger_than_3_mb"], &told["other_formats"]), (&1.into(), &1.into()));
}

#[test]
fn an_error_about_size_or_format_is_permanent() {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2")]);
    site.change(r#"{"fail_code":{"status":400,"code":"FailedOperation.ImageSizeExceed"}}"#);
    site.run(&[]).with(3);
    site.change(r#"{"clear":true}"#);
    site.run(&[]).with(0);
    assert_eq!((site.calls(), site.states()), (2, [0, 0, 0, 2]));
    site.put(&[("a.jpg", "3")]);
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 3, "other bytes are another image");
}
