//! Labels from an earlier export or from a script are taken, and nobody pays for them again.

use std::process::{Command, Stdio};

use costag::emulator::{Settings, Synthetic};

use crate::support::{BUCKET, Ended, Site, rows};

/// The name of the bucket without its scheme.
fn bucket() -> &'static str {
    BUCKET.trim_start_matches("cos://").trim_end_matches('/')
}

/// Runs a command on the database `db`.
fn on(site: &Site, db: &str, arguments: &[&str]) -> Ended {
    site.costag(&[arguments, &["--db", db]].concat())
}

fn one(site: &Site, db: &str, sql: &str) -> i64 {
    rusqlite::Connection::open(site.path(db)).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// A bucket with copies, labelled in the database `costag.db`.
fn labelled(objects: u64) -> Site {
    let site = Site::new(
        Synthetic { objects, duplicates: 0.1, ..Synthetic::default() },
        Settings::default(),
    );
    site.run(&["--scenes", "web,camera", "-w", "32"]).with(0);
    site
}

const RUN: [&str; 4] = ["run", BUCKET, "--scenes", "web,camera"];

#[test]
fn an_import_into_a_new_database_leaves_nothing_to_call() {
    let site = labelled(300);
    for name in ["labels.csv", "labels.csv.gz", "labels.csv.zst"] {
        site.costag(&["export", "-o", name]).with(0);
        let db = format!("of-{name}.db");
        let db = db.as_str();
        let calls = site.calls();
        let planned = on(&site, db, &["plan", BUCKET, "--scenes", "web,camera", "--json"]).with(0);
        assert!(!planned.stdout.contains("\"calls\":0"), "{}", planned.stdout);
        // A dry run says what the import then does.
        let dry = on(&site, db, &["import", name, "--dry-run"]).with(0).stderr;
        assert_eq!(one(&site, db, "SELECT count(*) FROM content"), 0);
        let told = on(&site, db, &["import", name]).with(0).stderr;
        assert_eq!(dry.replace("would import", "imported"), told);
        let contents = one(&site, db, "SELECT count(*) FROM content");
        assert!(
            contents < 300 && told.contains(&format!("imported labels of {contents} images")),
            "{told}"
        );
        on(&site, db, &["verify"]).with(0);
        let run = on(&site, db, &RUN).with(0);
        assert_eq!(site.calls(), calls, "{}", run.stderr);
        on(&site, db, &["verify"]).with(0);
        for command in [&["export"][..], &["stats", "--json"], &["export", "--layout", "wide"]] {
            let (first, second) = (site.costag(command).with(0), on(&site, db, command).with(0));
            assert_eq!(first.stdout, second.stdout, "{command:?}");
        }
        let ledger = on(&site, db, &["ledger", "--json"]).with(0).stdout;
        let ledger: serde_json::Value = serde_json::from_str(&ledger).unwrap();
        assert_eq!(ledger["total"]["calls"], 0);
        let label = site.export(&[])[0][3].clone();
        let find = ["find", "--label", &label];
        let found = on(&site, db, &find).with(0).stdout;
        assert!(!found.is_empty());
        assert_eq!(site.costag(&find).with(0).stdout, found);
        let status = on(&site, db, &["status"]).with(0).stdout;
        assert!(status.contains("(import)") && status.contains(name), "{status}");
        // A second time there is nothing to do.
        let again = on(&site, db, &["import", name]).with(0).stderr;
        assert!(again.contains("imported labels of 0 images"), "{again}");
        assert!(again.contains("had the same labels already"), "{again}");
        on(&site, db, &["verify"]).with(0);
    }
}

#[test]
fn labels_of_listed_images_are_taken_and_are_an_increment() {
    let site = labelled(40);
    site.costag(&["export", "-o", "labels.csv"]).with(0);
    let db = "two.db";
    // A run lists everything, and calls two images.
    on(&site, db, &[&RUN[..], &["--max-calls", "2", "-w", "1"]].concat()).with(8);
    let calls = site.calls();
    on(&site, db, &["import", "labels.csv"]).with(0).says(&["had the same labels already"]);
    on(&site, db, &["verify"]).with(0);
    let changed = on(&site, db, &["export", "--since-run", "1"]).with(0).stdout;
    assert!(changed.lines().count() > 30, "{changed}");
    on(&site, db, &["resume", "--max-calls", "100"]).with(0);
    assert_eq!(site.calls(), calls);
    // The two images were labelled by this run, at another time.
    let export = ["export", "--columns", "key,scene,rank,name,confidence,etag,size,last_modified"];
    assert_eq!(site.costag(&export).with(0).stdout, on(&site, db, &export).with(0).stdout);
    on(&site, db, &["verify"]).with(0);
    // What was imported can be asked for again, and only that costs.
    on(&site, db, &["retag", "--all", "--yes"]).with(0);
    on(&site, db, &RUN).with(0);
    assert!(site.calls() > calls);
    on(&site, db, &["verify"]).with(0);
}

#[test]
fn conflicts_are_told_and_never_overwrite_labels() {
    let site = Site::holding(&[("a.jpg", "a"), ("b.jpg", "b"), ("c.jpg", "c")]);
    site.run(&[]).with(0);
    let before = site.costag(&["export"]).with(0).stdout;
    let etag = |key: &str| {
        site.export(&[]).into_iter().find(|row| row[0] == key).map(|row| row[7].clone()).unwrap()
    };
    let script = format!(
        "key,etag,scene,name,confidence\na.jpg,{},camera,cat,90\nb.jpg,0123,camera,dog,20\nd.jpg,4567,web,cow,30\n\
         c.jpg,{},web,bird,50\nc.jpg,{},web,tree,40\ne.jpg,,web,x,1\n",
        etag("a.jpg"),
        etag("c.jpg"),
        etag("c.jpg")
    );
    site.write("script.csv", script);
    site.costag(&["import", "script.csv"]).with(2).says(&["no column bucket"]);
    let other = ["import", "script.csv", "--bucket", "other-1250000000"];
    site.costag(&other).with(2).says(&["has no bucket \"other-1250000000\""]);
    let import = ["import", "script.csv", "--bucket", bucket()];
    for options in [&["--dry-run"][..], &[]] {
        site.costag(&[&import[..], options].concat()).with(3).says(&[
            "a.jpg: has other labels in camera, which stay",
            "b.jpg: has another ETag or size now",
            "d.jpg: is not in the database",
            "labels of 1 image in 1 scene",
            "1 image: without an ETag",
        ]);
    }
    site.costag(&["verify"]).with(0);
    let after = site.export(&[]);
    assert_eq!(after.len(), rows(&before).len() + 2);
    let of_web: Vec<_> = after.iter().filter(|row| row[1] == "web").collect();
    assert_eq!((of_web[0][3].as_str(), of_web[1][3].as_str()), ("bird", "tree"));
    // A run for the scene calls only what the file did not have.
    let calls = site.calls();
    site.run(&["--scenes", "web"]).with(0);
    assert_eq!(site.calls() - calls, 2);
    site.costag(&["verify"]).with(0);
}

#[test]
fn an_import_that_is_killed_goes_on() {
    let site = labelled(3_000);
    site.costag(&["export", "-o", "labels.csv"]).with(0);
    let db = "two.db";
    on(&site, db, &["plan", BUCKET]).with(0);
    let mut partly = 0;
    for milliseconds in [30, 60, 100, 150, 250] {
        let mut command = site.command(&["import", "labels.csv", "--db", db]);
        let mut importing = command.stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        importing.kill().unwrap();
        importing.wait().unwrap();
        let found = one(&site, db, "SELECT count(*) FROM content");
        assert!(found >= partly, "nothing is lost");
        partly = found;
    }
    on(&site, db, &["import", "labels.csv"]).with(0);
    let calls = site.calls();
    on(&site, db, &RUN).with(0);
    assert_eq!(site.calls(), calls);
    on(&site, db, &["verify"]).with(0);
    assert_eq!(site.costag(&["export"]).with(0).stdout, on(&site, db, &["export"]).with(0).stdout);
    // Each image has one row of the import.
    assert_eq!(
        one(&site, db, "SELECT count(*) - count(DISTINCT content_id) FROM call WHERE outcome = 5"),
        0
    );
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing() {
    let site = Site::plain(2);
    site.costag(&["import", "labels.csv"]).with(2).says(&["costag.db"]);
    site.run(&[]).with(0);
    site.costag(&["import", "labels.csv"]).with(2).says(&["cannot read labels.csv"]);
    let bucket = ["--bucket", bucket()];
    let good = "key,etag,scene,name,confidence\nx.jpg,1,web,cat,1\n";
    site.write("labels.csv", format!("{good}y.jpg,2,web,dog,101\n"));
    let import = [&["import", "labels.csv"][..], &bucket].concat();
    site.costag(&import).with(2).says(&["line 3 of labels.csv has no confidence from 0 to 100"]);
    site.write("labels.csv", format!("{good}y.jpg,2,web,dog,10\nx.jpg,1,web,cow,1\n"));
    site.costag(&import).with(2).says(&["line 4", "has the key \"x.jpg\" again"]);
    // The file is read twice, which a pipe cannot be.
    assert!(Command::new("mkfifo").arg(site.path("pipe.csv")).status().unwrap().success());
    let from_pipe = [&["import", "pipe.csv"][..], &bucket].concat();
    site.costag(&from_pipe).with(2).says(&["pipe.csv is no regular file"]);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM run"), 1);
}
