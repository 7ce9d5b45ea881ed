//! Names are shown in another language, and stored as they came.

use crate::support::Site;

#[test]
fn aliases_replace_names_in_exports_searches_and_reports_and_nothing_that_is_stored() {
    let site = Site::holding(&[("a.jpg", "one"), ("b.jpg", "two")]);
    site.run(&["--scenes", "camera,web"]).with(0);
    let rows = site.export(&[]);
    let (name, first, second) = (&rows[0][3], &rows[0][4], &rows[0][5]);
    assert_ne!(name, first);
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let text = format!(
        "\u{feff}kind,name,alias\r\nlabel,{},\"Alias, of a label\"\r\nfirst,{},First alias\r\nsecond,{},Second alias\r\n",
        quoted(name),
        quoted(first),
        quoted(second)
    );
    let file = site.write("aliases.csv", text);
    let replaced: Vec<_> = rows
        .iter()
        .cloned()
        .map(|mut row| {
            let shown = |text: &mut String, stored: &str, alias: &str| {
                if text == stored {
                    alias.clone_into(text);
                }
            };
            shown(&mut row[3], name, "Alias, of a label");
            shown(&mut row[4], first, "First alias");
            shown(&mut row[5], second, "Second alias");
            row
        })
        .collect();
    assert_ne!(replaced, rows);
    assert_eq!(site.export(&["--aliases", &file]), replaced);
    assert_eq!(site.export(&[]), rows, "stored names stay");
    let wide = site.costag(&["export", "--layout", "wide", "--aliases", &file]).with(0).stdout;
    assert!(wide.contains("Alias, of a label:"), "{wide}");

    let find = |label: &str, aliases: &[&str]| {
        site.costag(&[&["find", "--json", "--label", label], aliases].concat()).with(0).stdout
    };
    let stored = find(name, &[]);
    assert!(stored.contains(name.as_str()));
    let shown = stored.replace(name.as_str(), "Alias, of a label");
    assert_eq!(find("Alias, of a label", &["--aliases", &file]), shown);
    assert_eq!(find(name, &["--aliases", &file]), shown, "a stored name is found too");
    assert_eq!(find("Alias, of a label", &[]), "");
    let of_category = |category: &str, aliases: &[&str]| {
        site.costag(&[&["find", "--category", category], aliases].concat()).with(0).stdout
    };
    let found = of_category(first, &[]);
    assert!(!found.is_empty());
    assert_eq!(of_category("First alias", &["--aliases", &file]), found);
    assert_eq!(of_category(first, &["--aliases", &file]), found);
    let only = site.export(&["--label", "Alias, of a label", "--aliases", &file]);
    assert!(!only.is_empty() && only.iter().all(|row| row[3] == "Alias, of a label"));

    site.write("named.toml", "aliases = \"aliases.csv\"\n");
    site.costag(&["report", "-o", "report.html", "--config", "named.toml"]).with(0);
    let html = std::fs::read_to_string(site.path("report.html")).unwrap();
    assert!(html.contains("Alias, of a label") && html.contains("First alias"));
    site.assert_sound();
}

#[test]
fn a_wrong_file_of_aliases_is_told_with_the_number_of_its_line() {
    let site = Site::holding(&[("a.jpg", "one")]);
    site.run(&[]).with(0);
    let wrong = site.write("wrong.csv", "kind,name,alias\nlabel,a,b\nlabel,a,c\n");
    for command in [&["export"][..], &["find", "--label", "a"], &["report", "-o", "r.html"]] {
        let arguments = [command, &["--aliases", &wrong]].concat();
        site.costag(&arguments).with(2).says(&["line 3 of the aliases in", "has an alias already"]);
    }
    site.costag(&["export", "--aliases", "missing.csv"]).with(2).says(&["missing.csv"]);
}

#[test]
fn the_aliases_of_the_demo_name_everything_that_the_demo_labels() {
    let folder = tempfile::tempdir().unwrap();
    let costag = |arguments: &[&str]| {
        let output = crate::support::bare(folder.path(), arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    costag(&["demo", "--out", "."]);
    let aliases = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo-aliases.csv");
    let columns = "name,first_category,second_category";
    let text = costag(&["export", "--aliases", aliases, "--columns", columns]);
    let stored = text.lines().find(|line| !line.is_ascii());
    assert_eq!(stored, None, "a name without an alias");
    assert!(text.lines().count() > 100);
}
