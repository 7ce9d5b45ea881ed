//! Files that an export or a backup creates: their permissions, and what a killed command leaves behind.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::{Site, start};

fn labelled() -> Site {
    let site = Site::plain(20);
    site.run(&[]).with(0);
    site
}

fn parts(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "part"))
        .collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn leftovers_of_a_killed_export_are_removed_and_do_no_harm() {
    let site = labelled();
    // Leftovers under the names of earlier versions, for every process id that may occur, and under the present name.
    for number in 0..100 {
        for pid in [1, 7, std::process::id()] {
            site.write(&format!(".tags.csv.{pid}-{number}.part"), "half");
        }
    }
    site.write(".tags.csv.00c0ffee00c0ffee.part", "half");
    site.write(".other.csv.00c0ffee00c0ffee.part", "of another file");
    for pid in 0..2000 {
        site.write(&format!(".copy.db.{pid}.part"), "half");
    }
    site.costag(&["export", "-o", "tags.csv"]).with(0);
    site.costag(&["backup", "copy.db"]).with(0);
    assert_eq!(parts(site.folder()), [".other.csv.00c0ffee00c0ffee.part"]);
    assert_eq!(fs::read_to_string(site.path("tags.csv")).unwrap(), site.costag(&["export"]).stdout);
    // A leftover that cannot be removed does no harm either.
    fs::create_dir(site.path(".tags.csv.1.part")).unwrap();
    symlink("nowhere", site.path(".tags.csv.2.part")).unwrap();
    assert!(Command::new("mkfifo").arg(site.path(".tags.csv.3.part")).status().unwrap().success());
    site.costag(&["export", "-o", "tags.csv"]).with(0);
    let long = "x".repeat(255);
    site.costag(&["export", "-o", &long]).with(0);
    site.costag(&["backup", &long.replace('x', "y")]).with(0);
}

#[test]
fn an_export_follows_the_umask_and_keeps_the_mode_of_the_file_it_replaces() {
    let site = labelled();
    for (umask, rights) in [("000", 0o666), ("022", 0o644), ("027", 0o640), ("077", 0o600)] {
        let mut command = Command::new("sh");
        site.set_up(&mut command);
        let script = format!("umask {umask}; exec \"$0\" export -o {umask}.csv");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_costag")]);
        start(command).end().with(0);
        assert_eq!(mode(&site.path(&format!("{umask}.csv"))), rights, "{umask}");
        let copy = format!("{umask}.db");
        let mut command = Command::new("sh");
        site.set_up(&mut command);
        let script = format!("umask {umask}; exec \"$0\" backup {copy}");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_costag")]);
        start(command).end().with(0);
        assert_eq!(mode(&site.path(&copy)), 0o600, "a copy of the database is its owner's");
    }
    for rights in [0o600, 0o640, 0o604, 0o666] {
        let path = site.path("kept.csv");
        fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(rights)).unwrap();
        site.costag(&["export", "-o", "kept.csv"]).with(0);
        assert_eq!(mode(&path), rights);
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn an_export_by_root_keeps_the_owner_of_the_file_it_replaces() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let site = labelled();
    let path = site.path("theirs.csv");
    fs::write(&path, "before").unwrap();
    std::os::unix::fs::chown(&path, Some(65_534), Some(65_534)).unwrap();
    site.costag(&["export", "-o", "theirs.csv"]).with(0);
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (65_534, 65_534));
    assert!(metadata.len() > 100);
}

/// Whether the system restricts files and links in shared folders.
fn protects(what: &str) -> bool {
    fs::read_to_string(format!("/proc/sys/fs/{what}")).is_ok_and(|value| value.trim() != "0")
}

#[test]
fn an_export_respects_the_protection_of_shared_folders() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let site = labelled();
    let shared = site.path("shared");
    fs::create_dir(&shared).unwrap();
    std::os::unix::fs::chown(&shared, Some(65_534), Some(65_534)).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
    let mine = site.path("mine.txt");
    fs::write(&mine, "dear").unwrap();
    // Another user's link to an existing file, a link to a missing file, and a file of that user.
    for (link, target) in [("there", mine.clone()), ("new", site.path("new.txt"))] {
        symlink(target, shared.join(link)).unwrap();
        std::os::unix::fs::lchown(shared.join(link), Some(1000), Some(1000)).unwrap();
    }
    fs::write(shared.join("theirs"), "").unwrap();
    std::os::unix::fs::chown(shared.join("theirs"), Some(1000), Some(1000)).unwrap();
    if protects("protected_symlinks") {
        site.costag(&["export", "-o", "shared/there"]).with(4).says(&["shared/there"]);
        site.costag(&["export", "-o", "shared/new"]).with(4).says(&["shared/new"]);
        assert!(!site.path("new.txt").exists());
        assert_eq!(fs::read_to_string(&mine).unwrap(), "dear");
    }
    if protects("protected_regular") {
        site.costag(&["export", "-o", "shared/theirs"]).with(4).says(&["shared/theirs"]);
        assert_eq!(fs::read_to_string(shared.join("theirs")).unwrap(), "");
    }
}

#[test]
fn an_export_never_overwrites_the_database() {
    let site = labelled();
    symlink("costag.db", site.path("link.db")).unwrap();
    fs::hard_link(site.path("costag.db"), site.path("twin.db")).unwrap();
    for name in ["costag.db", "./costag.db", "link.db", "twin.db", "costag.db.lock"] {
        site.costag(&["export", "-o", name]).with(4).says(&["it is the job database"]);
    }
    fs::remove_file(site.path("twin.db")).unwrap();
    site.assert_sound();
}

#[test]
fn cells_that_a_spreadsheet_would_execute_are_written_unchanged() {
    let site = Site::holding(&[("=HYPERLINK(\"x\").jpg", "one"), ("@SUM(1).jpg", "two")]);
    site.run(&[]).with(0);
    let text = site.costag(&["export"]).with(0).stdout;
    assert!(text.contains(",\"=HYPERLINK(\"\"x\"\").jpg\","), "{text}");
    assert!(text.contains(",@SUM(1).jpg,"), "{text}");
}

#[test]
fn a_compressed_export_and_one_for_spreadsheets_hold_the_same_rows() {
    let site = Site::holding(&[("=1+1.jpg", "one"), ("b.jpg", "two")]);
    site.run(&[]).with(0);
    let plain = site.costag(&["export"]).with(0).stdout;
    for name in ["tags.csv.gz", "tags.csv.zst"] {
        site.costag(&["export", "-o", name]).with(0);
    }
    let gzip = fs::File::open(site.path("tags.csv.gz")).unwrap();
    assert_eq!(std::io::read_to_string(flate2::read::GzDecoder::new(gzip)).unwrap(), plain);
    let zstd = fs::File::open(site.path("tags.csv.zst")).unwrap();
    assert_eq!(std::io::read_to_string(zstd::Decoder::new(zstd).unwrap()).unwrap(), plain);

    let excel = site.costag(&["export", "--excel"]).with(0).stdout;
    let expected = plain.replace(",=1+1.jpg,", ",\"'=1+1.jpg\",").replace('\n', "\r\n");
    assert_eq!(excel, format!("\u{feff}{expected}"));
    let found = site.costag(&["find", "--not", "no such label", "--excel"]).with(0).stdout;
    assert!(found.starts_with("\u{feff}bucket,key,labels\r\n"), "{found}");
    assert!(found.contains(",\"'=1+1.jpg\",\r\n"), "{found}");
    for wrong in
        [&["--excel", "--format", "jsonl"][..], &["--columns", "web"], &["--columns", "key,key"]]
    {
        site.costag(&[&["export"], wrong].concat()).with(2);
    }
}

#[test]
fn help_and_version_on_a_full_device_are_an_error_and_on_a_closed_pipe_are_none() {
    let site = Site::plain(0);
    for arguments in [&["--help"][..], &["--version"], &["run", "--help"]] {
        let mut command = site.command(arguments);
        command.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        let ended = command.output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(4), "{arguments:?}: {told}");
        assert!(told.contains("cannot write to standard output"), "{told}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = site.command(arguments).stdout(writer).output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}");
        assert!(ended.stderr.is_empty());
    }
}
