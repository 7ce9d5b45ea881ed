//! The keys of an inventory of COS are labelled, instead of those of a listing.

use std::fs;
use std::io::Write as _;

use md5::{Digest as _, Md5};
use serde_json::json;

use crate::support::{BUCKET, Ended, Site};

const SCHEMA: &str = "Appid, Bucket, Key, Size, LastModifiedDate, ETag, StorageClass";
const FOLDER: &str = "list/1250000000/demo/nightly";

fn packed(text: &str) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

/// A line of a file, with the key as it is written there.
fn line(key: &str) -> String {
    format!(
        "\"1250000000\",\"demo\",\"{key}\",\"5\",\"2026-11-20T01:02:03Z\",\"\"\"e\"\"\",\"STANDARD\"\n"
    )
}

/// Writes an inventory with these files, below the folder of the site. Returns the path of its manifest.
fn inventory(site: &Site, schema: &str, files: &[(&str, Vec<u8>)]) -> String {
    let day = site.path(&format!("{FOLDER}/20261120"));
    fs::create_dir_all(site.path(&format!("{FOLDER}/data"))).unwrap();
    fs::create_dir_all(&day).unwrap();
    let entries: Vec<_> = files
        .iter()
        .map(|(name, bytes)| {
            let key = format!("{FOLDER}/data/{name}");
            fs::write(site.path(&key), bytes).unwrap();
            let md5 = hex::encode(Md5::digest(bytes));
            json!({ "key": key, "size": bytes.len().to_string(), "md5Checksum": md5 })
        })
        .collect();
    let manifest = json!({
        "sourceAppid": "1250000000", "sourceBucket": "demo", "destinationAppid": "1250000000",
        "destinationBucket": "demo", "fileFormat": "CSV", "listObjectCount": "4",
        "fileSchema": schema, "files": entries,
    });
    let path = day.join("manifest.json");
    fs::write(&path, manifest.to_string()).unwrap();
    fs::write(day.join("manifest.checksum"), hex::encode(Md5::digest(manifest.to_string())))
        .unwrap();
    path.to_str().unwrap().to_owned()
}

fn run(site: &Site, manifest: &str, options: &[&str]) -> Ended {
    site.costag(&[&["run", BUCKET, "--inventory", manifest], options].concat())
}

#[test]
fn the_keys_of_an_inventory_are_labelled_and_nothing_is_concluded_from_it() {
    let site =
        Site::holding(&[("a b/猫+%.jpg", "one"), ("b.jpg", "two"), ("not in it.jpg", "three")]);
    let first = format!("{}{}", line("a%20b/%E7%8C%AB%2B%25.jpg"), line("b.jpg"));
    let files = [("1.csv.gz", packed(&first)), ("2.csv", line("deleted.jpg").into_bytes())];
    let manifest = inventory(&site, SCHEMA, &files);
    run(&site, &manifest, &[]).with(3).says(&["the inventory "]);
    assert_eq!(site.called().into_keys().collect::<Vec<_>>(), ["a b/猫+%.jpg", "b.jpg"]);
    assert!(site.costag(&["status", "--failures"]).stdout.contains("deleted.jpg"));

    // A listing finds the third one, and the inventory, which does not name it, concludes nothing about it.
    site.run(&[]).with(0);
    run(&site, &manifest, &["--allow-missing"]).with(0);
    assert_eq!(site.loaded(&[]).len(), 3);
    assert_eq!(site.calls(), 3, "nothing is called twice");
    site.assert_sound();
}

#[test]
fn older_versions_and_delete_markers_of_an_inventory_are_left_out() {
    let site = Site::holding(&[("a.jpg", "one"), ("b.jpg", "two"), ("c.jpg", "three")]);
    let text = "Bucket,Key,IsLatest,IsDeleteMarker\ndemo,a.jpg,True,False\ndemo,b.jpg,False,False\n\
                demo,c.jpg,True,True\n";
    let manifest =
        inventory(&site, "Bucket, Key, IsLatest, IsDeleteMarker", &[("1.csv.gz", packed(text))]);
    run(&site, &manifest, &[]).with(0);
    assert_eq!(site.called().into_keys().collect::<Vec<_>>(), ["a.jpg"]);
}

#[test]
fn an_interrupted_run_over_an_inventory_is_resumed_without_its_files() {
    let objects: Vec<(String, String)> =
        (0..12).map(|n| (format!("{n:02}.jpg"), format!("text {n}"))).collect();
    let site = Site::plain(0);
    for (key, text) in &objects {
        site.put(&[(key, text)]);
    }
    let text: String = objects.iter().map(|(key, _)| line(key)).collect();
    let manifest = inventory(&site, SCHEMA, &[("1.csv.gz", packed(&text))]);
    run(&site, &manifest, &["--max-calls", "5"]).with(8);
    fs::remove_dir_all(site.path("list")).unwrap();
    site.resume().with(0).says(&["the inventory "]);
    assert_eq!(site.calls(), 12);
    assert_eq!(site.loaded(&[]).len(), 12);
}

#[test]
fn a_damaged_or_incomplete_inventory_is_refused_before_anything_is_called() {
    let site = Site::holding(&[("a.jpg", "one")]);
    let good = || inventory(&site, SCHEMA, &[("1.csv.gz", packed(&line("a.jpg")))]);
    let data = site.path(&format!("{FOLDER}/data/1.csv.gz"));
    let refused = |manifest: &str, told: &[&str]| {
        run(&site, manifest, &[]).with(2).says(told);
        site.costag(&["plan", BUCKET, "--inventory", manifest]).with(2).says(told);
    };

    let manifest = good();
    let mut bytes = fs::read(&data).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&data, &bytes).unwrap();
    refused(&manifest, &["1.csv.gz is damaged or incomplete: its MD5"]);
    fs::write(&data, &bytes[..10]).unwrap();
    refused(&manifest, &["1.csv.gz is damaged or incomplete: its size"]);
    fs::remove_file(&data).unwrap();
    refused(&manifest, &["data/1.csv.gz, and this file is not beside the manifest"]);

    let manifest = good();
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, format!("{text} ")).unwrap();
    refused(&manifest, &["manifest.json is damaged or incomplete: its MD5"]);
    let manifest = good();
    let elsewhere = ["run", "cos://other-1250000000", "--inventory", &manifest];
    site.costag(&elsewhere).with(2).says(&["it is the inventory of the bucket \"demo\""]);
    let broken = site.write("broken.json", "{\"files\":");
    refused(&broken, &["broken.json is not the manifest of an inventory"]);
    let orc = site.write("orc.json", r#"{"fileFormat":"ORC","fileSchema":"Key","files":[]}"#);
    refused(&orc, &["its files are \"ORC\""]);
    let keyless =
        site.write("keyless.json", r#"{"fileFormat":"CSV","fileSchema":"Size","files":[]}"#);
    refused(&keyless, &["no column Key"]);

    let manifest = good();
    let checksum = site.path(&format!("{FOLDER}/20261120/manifest.checksum"));
    fs::write(&checksum, "").unwrap();
    refused(&manifest, &["manifest.json is damaged or incomplete: its MD5"]);
    fs::remove_file(&checksum).unwrap();
    fs::create_dir(&checksum).unwrap();
    refused(&manifest, &["cannot read ", "manifest.checksum"]);
    fs::remove_dir(&checksum).unwrap();
    fs::File::options().write(true).open(&manifest).unwrap().set_len((64 << 20) + 1).unwrap();
    refused(&manifest, &["manifest.json: it is larger than 64 MiB"]);
    refused("-", &["an inventory cannot be read from standard input", "manifest.json"]);
    site.costag(&["resume", "--inventory", "-"]).with(2).says(&["from standard input"]);

    // What the checksums do not show is told with the number of the line.
    let text = format!("{}one,two\n", line("a.jpg"));
    let manifest = inventory(&site, SCHEMA, &[("1.csv.gz", packed(&text))]);
    run(&site, &manifest, &[]).with(2).says(&["line 2 of ", "has 2 fields", "names 7 columns"]);
    assert_eq!(site.calls(), 0);
}

/// A line with the facts of an object of the emulator whose content is `text`.
fn listed(key: &str, text: &str, bytes: usize) -> String {
    let etag = hex::encode(Md5::digest(text));
    format!(
        "\"1250000000\",\"demo\",\"{key}\",\"{bytes}\",\"2026-11-20T01:02:03Z\",\"\"\"{etag}\"\"\",\"STANDARD\"\n"
    )
}

fn trusted(site: &Site, manifest: &str, options: &[&str]) -> Ended {
    run(site, manifest, &[&["--trust-inventory"], options].concat())
}

fn heads(site: &Site) -> u64 {
    site.emulator.statistics().head_calls
}

#[test]
fn a_trusted_inventory_saves_the_look_ups() {
    let site = Site::holding(&[("a.jpg", "one"), ("b.jpg", "two"), ("c.jpg", "three")]);
    let text = [listed("a.jpg", "one", 3), listed("b.jpg", "two", 3), listed("c.jpg", "three", 5)]
        .concat();
    let manifest = inventory(&site, SCHEMA, &[("1.csv.gz", packed(&text))]);
    let plan = ["plan", BUCKET, "--inventory", &manifest, "--trust-inventory", "--json"];
    assert_eq!(site.json(&plan)["calls"], 3);
    // It is stopped, and goes on without its files.
    trusted(&site, &manifest, &["--max-calls", "1", "-w", "1"])
        .with(8)
        .says(&["the inventory was made ", "2026-11-20"]);
    fs::remove_dir_all(site.path("list")).unwrap();
    site.resume().with(0);
    assert_eq!((site.calls(), heads(&site)), (3, 0));
    assert_eq!(site.loaded(&[]).len(), 3);
    // A listing finds the same images, and another night over the same inventory does nothing.
    site.run(&[]).with(0);
    site.assert_exports("camera");
    let manifest = inventory(&site, SCHEMA, &[("1.csv.gz", packed(&text))]);
    trusted(&site, &manifest, &[]).with(0);
    assert_eq!((site.calls(), heads(&site)), (3, 0));
    site.assert_sound();
    // Another scene is called without look-ups too.
    trusted(&site, &manifest, &["--scenes", "web"]).with(0);
    assert_eq!((site.calls(), heads(&site)), (6, 0));
    site.assert_sound();
}

#[test]
fn what_happened_since_a_trusted_inventory_was_made_is_noticed_later() {
    let site = Site::holding(&[("a.jpg", "one"), ("b.jpg", "two"), ("new.jpg", "new")]);
    let text =
        [listed("a.jpg", "old", 3), listed("b.jpg", "two", 3), listed("gone.jpg", "x", 1)].concat();
    let manifest = inventory(&site, SCHEMA, &[("1.csv.gz", packed(&text))]);
    trusted(&site, &manifest, &[]).with(3);
    // A look-up may confirm that the bucket is there, because the call for the deleted key failed.
    assert_eq!(site.calls(), 3);
    assert!(heads(&site) <= 1);
    // The listing notices what was overwritten, and calls it and what the inventory did not name.
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 5);
    site.assert_exports("camera");
    site.assert_sound();
}

#[test]
fn keys_that_the_database_knows_otherwise_are_looked_up() {
    let site = Site::holding(&[("a.jpg", "one"), ("b.jpg", "two"), ("c.jpg", "three")]);
    site.run(&[]).with(0);
    site.delete(&["c.jpg"]);
    site.run(&[]).with(0);
    let (calls, before) = (site.calls(), heads(&site));
    // The inventory is older than the listing.
    let text = [listed("a.jpg", "old", 3), listed("b.jpg", "two", 3), listed("c.jpg", "three", 5)]
        .concat();
    let manifest = inventory(&site, SCHEMA, &[("1.csv.gz", packed(&text))]);
    trusted(&site, &manifest, &["--allow-missing"]).with(0);
    assert_eq!((site.calls(), heads(&site) - before), (calls, 2));
    site.assert_exports("camera");
    site.assert_sound();
    // What the inventory lacks is looked up, or refused.
    let keys = inventory(&site, "Key", &[("1.csv", b"b.jpg\n".to_vec())]);
    trusted(&site, &keys, &[]).with(2).says(&["lacks ETag or Size"]);
    site.costag(&["run", BUCKET, "--trust-inventory"]).with(2).says(&["--inventory"]);
}
