//! `costag ledger` agrees with what the emulator counted.

use costag::emulator::{Settings, Synthetic};
use serde_json::Value;

use crate::support::{BUCKET, Site, rows};

fn faulty(objects: u64) -> Site {
    let mut settings = Settings { qps_limit: Some(60), ..Settings::default() };
    for (fault, probability) in
        [("internal_error", 0.1), ("reset", 0.05), ("garbage", 0.05), ("not_found", 0.05)]
    {
        settings.set_fault(fault, probability).unwrap();
    }
    Site::new(Synthetic { objects, duplicates: 0.1, ..Synthetic::default() }, settings)
}

fn number(row: &Value, name: &str) -> u64 {
    row[name].as_u64().unwrap_or_else(|| panic!("no {name} in {row}"))
}

const OUTCOMES: [&str; 5] = ["answered", "failed", "throttled", "thrown_away", "unknown"];

#[test]
fn the_ledger_has_every_call_by_day_by_run_and_by_scene() {
    let site = faulty(150);
    site.run(&[]).with(3);
    let first = site.emulator.statistics();
    let ledger = |options: &[&str]| site.json(&[&["ledger", "--json"], options].concat());
    let total = &ledger(&[])["total"];
    assert_eq!(number(total, "calls"), first.calls, "equal, since nothing was killed");
    assert_eq!(number(total, "answered"), site.one::<i64>(ANSWERED).cast_unsigned());
    assert_eq!(number(total, "throttled"), first.throttled);
    assert!(first.throttled > 0);
    assert_eq!(number(total, "failed") + first.throttled, not_200(&first));
    assert_eq!(number(total, "unknown"), 0);
    assert!(number(total, "thrown_away") > 0);

    site.change(r#"{"clear":true}"#);
    site.run(&["--scenes", "web,camera"]).with(0);
    let both = site.calls();
    for by in ["day", "run", "scene"] {
        let ledger = ledger(&["--by", by]);
        let rows = ledger["rows"].as_array().unwrap();
        let sum = |name: &str| rows.iter().map(|row| number(row, name)).sum::<u64>();
        assert_eq!(sum("calls"), both, "{by}");
        assert_eq!(OUTCOMES.map(sum).iter().sum::<u64>(), both, "{by}");
        for name in OUTCOMES.iter().chain(&["calls", "retries", "scenes_asked"]) {
            assert_eq!(sum(name), number(&ledger["total"], name), "{by} {name}");
        }
    }
    let by_run = &ledger(&["--by", "run"])["rows"];
    assert_eq!(number(&by_run[0], "calls"), first.calls);
    assert_eq!(number(&by_run[1], "calls"), both - first.calls);
    let by_scene = ledger(&["--by", "scene"]);
    let names: Vec<_> =
        by_scene["rows"].as_array().unwrap().iter().map(|row| row["scenes"].clone()).collect();
    // An image that failed permanently in the first night is called for both scenes in the second.
    assert!(names.contains(&"camera".into()) && names.contains(&"web".into()), "{names:?}");
    site.assert_sound();
}

const ANSWERED: &str = "SELECT count(*) FROM content WHERE scenes_done <> 0";

/// The number of calls that the emulator answered with a status other than 200.
fn not_200(statistics: &costag::emulator::Statistics) -> u64 {
    let all = statistics.calls_by_status.iter();
    all.filter(|(status, _)| status.as_str() != "200" && status.as_str() != "dropped")
        .map(|(_, count)| count)
        .sum()
}

#[test]
fn the_ledger_sums_up_months_days_and_costs() {
    let site = Site::plain(30);
    site.run(&["--max-calls", "10"]).with(8);
    // Move the first night a month into the past.
    site.tamper("UPDATE call SET ended_at = ended_at - 32 * 86400000");
    site.resume().with(0);
    let now = jiff::Zoned::now();
    let this = now.strftime("%Y-%m").to_string();
    let price = ["--by", "day", "--csv"];
    site.write("costag.toml", "price_per_1000_calls = 1500\ncurrency = \"EUR\"\n");
    let table = rows(&site.costag(&[&["ledger"], &price[..]].concat()).with(0).stdout);
    let calls: Vec<_> = table.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(calls, ["10", "20"]);
    assert!(table[0].contains(&"EUR".to_owned()) && table[1].contains(&"30.00".to_owned()));
    let month = site.json(&["ledger", "--json", "--month", &this]);
    assert_eq!(number(&month["total"], "calls"), 20);
    assert_eq!(month["total"]["cost"], 30.0);
    let never = site.json(&["ledger", "--json", "--month", "1999-12"]);
    assert_eq!(number(&never["total"], "calls"), 0);
    let text = site.costag(&["ledger"]).with(0).stdout;
    assert!(text.contains("EUR") && text.contains("an estimate"), "{text}");
    site.costag(&["ledger", "--month", "1999"]).with(2);
}

#[test]
fn a_kill_leaves_a_ledger_row_for_each_call_in_flight() {
    let settings = Settings { latency_ms: 40, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 120, ..Synthetic::default() }, settings);
    let run = site.start(&["run", BUCKET]);
    crate::support::wait_until("some calls", || site.calls() >= 40);
    assert!(run.kill());
    site.assert_sound();
    site.resume().with(0);
    let total = site.json(&["ledger", "--json"])["total"].clone();
    let (calls, unknown) = (number(&total, "calls"), number(&total, "unknown"));
    assert!((1..=32).contains(&unknown), "{total}");
    let counted = site.calls();
    assert!(calls - unknown <= counted && counted <= calls, "{total} {counted}");
    site.assert_exports("camera");
    site.assert_sound();
}

#[test]
fn scenes_that_were_asked_together_are_one_row_of_the_ledger() {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2"), ("same.jpg", "1")]);
    site.run(&["-s", "web,camera"]).with(0);
    let ledger = site.json(&["ledger", "--by", "scene", "--json"]);
    assert_eq!(number(&ledger["total"], "calls"), site.calls());
    assert_eq!(ledger["rows"][0]["scenes"], "camera,web");
    assert_eq!(number(&ledger["total"], "scenes_asked"), 2 * site.calls());
    let month = site.costag(&["ledger", "--month", "1999-01", "--csv"]).with(0).stdout;
    assert_eq!(month.lines().count(), 1, "{month}");
}
