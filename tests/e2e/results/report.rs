//! `costag report`: one file that shows a database to a person.

use std::fs;

use crate::support::{Site, bare, start};

/// A key that would run a script if it were not escaped, and one that is written from right to left.
const HOSTILE: &str = "<img src=x onerror=alert(1)>/a&b.jpg";
const LEFTWARDS: &str = "صور/قطة.jpg";

/// The text between two texts, the first time they occur.
#[track_caller]
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from:?}"));
    rest.split_once(to).unwrap_or_else(|| panic!("no {to:?} after {from:?}")).0
}

fn report(site: &Site) -> String {
    site.costag(&["report", "-o", "report.html"]).with(0).says(&["report.html"]);
    fs::read_to_string(site.path("report.html")).unwrap()
}

#[test]
fn a_report_counts_what_the_bucket_has_and_loads_nothing() {
    let long = format!("{}/{}.jpg", "x".repeat(420), "y".repeat(420));
    let site = Site::holding(&[
        (HOSTILE, "one"),
        (LEFTWARDS, "two"),
        (&long, "three"),
        ("2026/11/c.jpg", "four"),
        ("2026/11/copy.jpg", "four"),
        ("2026/11/gone.jpg", "five"),
    ]);
    site.run(&["--price-per-1000-calls", "1.2"]).with(0);
    site.delete(&["2026/11/gone.jpg"]);
    site.put(&[("2026/11/new.jpg", "six")]);
    site.run(&[]).with(0);
    let html = report(&site);
    for text in [
        "5 images, 100 % labelled.",
        "1 call was saved by a copy.",
        "&#60;img src=x onerror=alert(1)&#62;</bdi>/",
        "<bdi>صور</bdi>/",
        "What the listing of run 2,",
        "Run 2 is complete.",
    ] {
        assert!(html.contains(text), "{text}");
    }
    assert!(!html.contains("<img") && !html.contains(&"x".repeat(100)));
    // The most frequent label is that of a search, and of the database.
    let name = between(&html, "<span class=\"name\"><bdi>", "</bdi>");
    let count: usize = between(&html, "<span class=\"n\">", "</span>").parse().unwrap();
    let images: i64 =
        site.one(&format!("SELECT count(DISTINCT etag) FROM labels WHERE name = '{name}'"));
    assert_eq!(i64::try_from(count), Ok(images));
    for link in html.split("href=\"").skip(1).chain(html.split("src=\"").skip(1)) {
        assert!(link.starts_with('#'), "{link:.60}");
    }
    for secret in ["AKID", "emulator-secret-key", "q-sign"] {
        assert!(!html.contains(secret), "{secret}");
    }
    let again =
        site.costag(&["report", "-o", "-", "--price-per-1000-calls", "1000", "--currency", "USD"]);
    assert!(again.with(0).stdout.contains("6.00 USD"), "six calls were made");
}

#[test]
fn a_report_is_written_whole_or_not_at_all() {
    let site = Site::holding(&[("a.jpg", "one")]);
    site.costag(&["report", "-o", "r.html"]).with(2).says(&["there is no database"]);
    site.costag(&["report"]).with(2).says(&["--output"]);
    site.run(&[]).with(0);
    site.costag(&["report", "-o", "no/r.html"]).with(4).says(&["no/r.html"]);
    site.costag(&["report", "-o", "costag.db"]).with(4).says(&["it is the job database"]);
    site.costag(&["report", "-o", "/dev/full"]).with(4).says(&["/dev/full"]);
    site.write("r.html", "before");
    site.tamper("DELETE FROM tag");
    site.costag(&["report", "-o", "r.html"]).with(7).says(&["a label without its name"]);
    assert_eq!(fs::read_to_string(site.path("r.html")).unwrap(), "before");
    let left = fs::read_dir(site.folder()).unwrap().map(|entry| entry.unwrap().path());
    assert!(left.into_iter().all(|path| path.extension().is_none_or(|end| end != "part")));
}

#[test]
fn a_report_of_failures_says_what_to_do_and_one_of_nothing_how_to_begin() {
    let site = Site::holding(&[("a.jpg", "one"), ("b.jpg", "two")]);
    site.change(r#"{"fail_code":{"status":400,"code":"InvalidImageFormat"}}"#);
    site.run(&[]).with(3);
    let html = report(&site);
    for text in [
        "2 images, 0 % labelled.",
        "No labels.",
        "Not a picture, or damaged",
        "<code>InvalidImageFormat</code>",
        "<span>costag status</span> <span>--failures</span>",
    ] {
        assert!(html.contains(text), "{text}");
    }
    let empty = Site::plain(0);
    empty.costag(&["plan", "cos://demo-1250000000"]).with(0);
    assert!(report(&empty).contains("Nothing was labelled yet."));
}

#[test]
fn the_demo_writes_a_report_with_its_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("few");
    fs::create_dir(&images).unwrap();
    for (name, colour) in [("red.png", [220, 20, 20]), ("green.png", [20, 200, 20])] {
        image::RgbImage::from_pixel(64, 48, image::Rgb(colour)).save(images.join(name)).unwrap();
    }
    let ended = start(bare(folder.path(), &["demo", "--images", "few"])).end().with(0);
    assert!(ended.stdout.contains("costag-demo/report.html"), "{}", ended.stdout);
    let html = fs::read_to_string(folder.path().join("costag-demo/report.html")).unwrap();
    assert_eq!(html.matches("data:image/jpeg;base64,").count(), 2, "each picture is in it once");
    assert!(html.matches("<use href=\"#p").count() > 2, "and is shown with each of its labels");
}

#[test]
fn a_report_has_as_many_pictures_of_the_bucket_as_it_may_request() {
    let keys = ["a.jpg", "2026/猫 b.jpg", "c.png", "d.jpg"];
    let site = Site::holding(&keys.map(|key| (key, key)));
    site.run(&[]).with(0);
    let command = ["report", "-o", "report.html", "--thumbnails"];
    let written = |most: &str| {
        let ended = site.costag(&[&command[..], &[most]].concat()).with(0);
        (ended.stderr, fs::read_to_string(site.path("report.html")).unwrap())
    };
    let (told, html) = written("3");
    assert!(told.contains("requesting 3 pictures from http://127.0.0.1:"), "{told}");
    assert_eq!(site.emulator.statistics().get_calls, 3);
    assert_eq!(html.matches("data:image/jpeg;base64,").count(), 3);
    assert!(!html.contains("q-sign") && !html.contains("127.0.0.1"), "a link is in the report");
    let (_, html) = written("240");
    assert_eq!(html.matches("data:image/jpeg;base64,").count(), 4);
    assert_eq!(site.emulator.statistics().get_calls, 7);
    // A bucket that refuses is not asked for all of them, and the report is written without them.
    site.change(r#"{"token": "another"}"#);
    let (told, html) = written("240");
    assert!(told.contains("warning: 4 pictures did not come"), "{told}");
    assert!(!html.contains("data:image/jpeg"), "{told}");
    for wrong in ["0", "241", "all"] {
        site.costag(&[&command[..], &[wrong]].concat()).with(2);
    }
}
