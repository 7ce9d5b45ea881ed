//! A database that lives for years: the details of old runs are removed, and nothing else changes.

use std::process::Stdio;

use costag::emulator::{Settings, Synthetic};

use crate::support::{BUCKET, Site, wait_until};

/// What must not change: sums of money, labels, counts, the newest journal and the latest increment.
const KEPT: [&[&str]; 8] = [
    &["ledger", "--json"],
    &["ledger", "--by", "run", "--json"],
    &["ledger", "--by", "scene", "--json"],
    &["export"],
    &["stats", "--json"],
    &["status", "--failures"],
    &["changes", "--run", "3"],
    &["export", "--since-run", "3"],
];

fn kept(site: &Site) -> Vec<String> {
    let mut kept: Vec<_> = KEPT.iter().map(|command| site.costag(command).with(0).stdout).collect();
    // The name of the first label: bucket, key, scene, rank, name.
    let row = kept[3].lines().nth(1).unwrap();
    let found = site.costag(&["find", "--label", row.split(',').nth(4).unwrap()]).with(0).stdout;
    assert!(!found.is_empty());
    kept.push(found);
    kept
}

/// Three runs. There are enough calls for labels to be found without their ledger rows.
fn three_old_runs() -> Site {
    let site = Site::new(Synthetic { objects: 8_300, ..Synthetic::default() }, Settings::default());
    // In three parts, so that none of them takes long on a busy machine.
    site.run(&["-w", "64", "--max-calls", "2800"]).with(8);
    site.resume_with(&["--max-calls", "2800"]).with(8);
    site.resume_with(&["--max-calls", "9000"]).with(0);
    site.put(&[("new/a.jpg", "a"), ("new/b.jpg", "b")]);
    site.run(&[]).with(0);
    site.delete(&["new/b.jpg"]);
    site.run(&[]).with(0);
    // Months pass.
    site.tamper(
        "UPDATE call SET ended_at = ended_at - 100 * 86400000; UPDATE content SET tagged_at = tagged_at - 100 * 86400;
         UPDATE run SET started_at = started_at - 100 * 86400, ended_at = ended_at - 100 * 86400,
                        succeeded_at = succeeded_at - 100 * 86400",
    );
    site
}

#[test]
fn prune_removes_details_and_keeps_labels_and_sums() {
    let site = three_old_runs();
    let before = kept(&site);
    let said = |command: &[&str], told: &[&str]| {
        site.costag(command).with(0).says(told);
    };
    said(&["prune", "--keep-runs", "1", "--keep-days", "101"], &["removed nothing"]);
    said(
        &["prune", "--keep-runs", "1", "--dry-run"],
        &[
            "would remove the details of 2 runs: 2 entries of the journal",
            "8,192 rows of the ledger",
        ],
    );
    assert_eq!(kept(&site), before);
    // A prune that is killed has removed and added up the same calls, whenever the kill comes.
    for milliseconds in [1, 5, 10, 20, 40] {
        let mut command = site.command(&["prune", "--keep-runs", "1"]);
        let mut pruning = command.stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        pruning.kill().unwrap();
        pruning.wait().unwrap();
        assert_eq!(kept(&site), before, "killed after {milliseconds} ms");
    }
    site.costag(&["prune", "--keep-runs", "1"]).with(0);
    said(&["prune", "--keep-runs", "1"], &["removed nothing"]);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM call"), 110);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM change"), 1);
    assert_eq!(kept(&site), before);
    site.costag(&["verify"]).with(0);
    said(&["changes", "--run", "2"], &["were removed when old runs were pruned"]);
    site.costag(&["export", "--since-run", "2"])
        .with(2)
        .says(&["run 2 were removed by costag prune", "export everything"]);
    let length = || std::fs::metadata(site.path("costag.db")).unwrap().len();
    let large = length();
    said(&["compact"], &["writing the database anew", "bytes and has"]);
    assert!(length() < large);
    assert_eq!(kept(&site), before);
    site.costag(&["verify"]).with(0);
    // Images that are gone keep their labels, and cost nothing when they come back.
    let calls = site.calls();
    site.put(&[("new/b.jpg", "b")]);
    site.run(&[]).with(0);
    assert_eq!(site.calls(), calls);
    // Images that are asked for again are called, and the sums go on.
    site.costag(&["retag", "--prefix", "new/", "--yes"]).with(0);
    site.run(&[]).with(0);
    assert_eq!(site.calls(), calls + 2);
    let ledger: serde_json::Value =
        serde_json::from_str(&site.costag(&["ledger", "--json"]).with(0).stdout).unwrap();
    assert_eq!(ledger["total"]["calls"], site.calls());
    site.costag(&["verify"]).with(0);
}

#[test]
fn prune_leaves_a_run_that_can_be_resumed() {
    let site = Site::plain(6);
    site.run(&["--max-calls", "2", "-w", "1"]).with(8);
    site.costag(&["run", &format!("{BUCKET}/no-such-prefix")]).with(0);
    site.costag(&["run", &format!("{BUCKET}/no-such-prefix")]).with(0);
    site.costag(&["prune", "--keep-runs", "1"]).with(0).says(&["details of 1 run:"]);
    site.resume().with(0).says(&["continuing run 1"]);
    site.assert_exports("camera");
    site.costag(&["verify"]).with(0);
    site.costag(&["prune", "--keep-runs", "0"]).with(2);
    site.costag(&["prune"]).with(2).says(&["--keep-runs"]);
    site.costag(&["prune", "--keep-runs", "1", "--db", "none.db"]).with(2);
    site.costag(&["compact", "--db", "none.db"]).with(2);
    assert!(!site.path("none.db").exists());
}

#[test]
fn a_run_at_work_is_not_pruned_or_compacted() {
    let site = Site::plain(6);
    site.run(&[]).with(0);
    site.put(&[("new.jpg", "new")]);
    site.change(r#"{"latency_ms":60000}"#);
    let mut run = site.start(&["run", BUCKET]);
    let calls = site.calls();
    wait_until("a call", || site.calls() > calls || run.has_ended());
    site.costag(&["prune", "--keep-runs", "1"]).with(11);
    site.costag(&["compact"]).with(11);
    site.costag(&["prune", "--keep-runs", "1", "--dry-run"]).with(0).says(&["details of 1 run:"]);
    assert!(run.kill());
}

#[test]
fn status_says_when_pruning_is_worth_it() {
    let site = Site::plain(1);
    site.run(&[]).with(0);
    let status = || site.costag(&["status"]).with(0).stdout;
    assert!(!status().contains("costag prune"), "{}", status());
    // Ninety later runs, and an old one that has made many calls.
    site.tamper(
        r#"WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 90)
           INSERT INTO run (bucket_id, source, eligibility, state, settings, journals, tool_version, started_at, ended_at)
           SELECT 1, 'bucket', 0, 'complete', '{}', 1, '', 1, 1 FROM n;
           UPDATE run SET counts = '{"calls":99999}' WHERE id = 1"#,
    );
    assert!(!status().contains("costag prune"), "{}", status());
    site.tamper(r#"UPDATE run SET counts = '{"calls":100000}' WHERE id = 1"#);
    assert!(status().contains("about 100,000 rows"), "{}", status());
    assert!(status().contains("\n  costag prune --keep-runs 90"), "{}", status());
    site.costag(&["prune", "--keep-runs", "90"]).with(0);
    assert!(!status().contains("costag prune"), "{}", status());
}
