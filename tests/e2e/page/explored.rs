//! What Explore shows agrees with what the program finds.

use std::collections::BTreeSet;

use url::form_urlencoded;

use super::Served;
use crate::support::{Dice, Site, words_of};

/// The text of a piece of HTML.
fn text(html: &str) -> String {
    let mut text = String::new();
    let mut is_tag = false;
    for c in html.chars() {
        match c {
            '<' => is_tag = true,
            '>' => is_tag = false,
            c if !is_tag => text.push(c),
            _ => {}
        }
    }
    [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")]
        .iter()
        .fold(text, |text, (spelled, is)| text.replace(spelled, is))
}

/// The command to copy on a page of Explore.
fn command(served: &Served, query: &str) -> Option<String> {
    let page = served.get(&format!("/explore?{query}"));
    let (_, rest) = page.split_once("<div class=\"ask\">").unwrap_or_else(|| panic!("{page}"));
    let (asked, _) = rest.split_once("</div>").unwrap();
    let (_, code) = asked.split_once("<code>")?;
    Some(text(code.split("</code>").next().unwrap()))
}

/// The contents of the images that a download lists.
fn downloaded(site: &Site, served: &Served, query: &str) -> BTreeSet<i64> {
    let answer = served.get(&format!("/explore.jsonl?{query}"));
    let objects = answer.lines().filter(|line| line.starts_with('{'));
    objects
        .map(|line| {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            content(site, object["key"].as_str().unwrap())
        })
        .collect()
}

fn content(site: &Site, key: &str) -> i64 {
    let sql = "SELECT content_id FROM object WHERE key = ?1";
    site.database().query_row(sql, [key], |row| row.get(0)).unwrap()
}

/// The keys of these images that begin with this.
fn keys(site: &Site, contents: &BTreeSet<i64>, prefix: &str) -> BTreeSet<String> {
    let database = site.database();
    let mut statement = database.prepare("SELECT key, content_id FROM object").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let rows = rows.map(|row: rusqlite::Result<(String, Option<i64>)>| row.unwrap());
    rows.filter(|(key, id)| id.is_some_and(|id| contents.contains(&id)) && key.starts_with(prefix))
        .map(|(key, _)| key)
        .collect()
}

#[test]
fn a_command_of_explore_finds_the_keys_of_the_images_that_its_download_lists() {
    let mut objects: Vec<(String, String)> = (0..48)
        .map(|n| {
            let folder = ["a/", "-b/", "it's/", "می\u{200c}/"][n % 4];
            // Every third image has a copy in another folder.
            (format!("{folder}{n:02}.jpg"), format!("picture {}", n - n % 3 / 2))
        })
        .collect();
    objects.push(("broken/1.jpg".to_owned(), "broken".to_owned()));
    let objects: Vec<_> = objects.iter().map(|(key, bytes)| (&**key, &**bytes)).collect();
    let site = Site::holding(&objects);
    site.change(r#"{"faults":{"invalid_state":1.0},"fault_keys":"broken/"}"#);
    site.run(&["--scenes", "web,camera", "--limit", "30"]);
    // A configuration file leads elsewhere than the database that is shown.
    site.write("costag.toml", "db = \"other.db\"\n");
    let mut labels: Vec<String> = {
        let database = site.database();
        let sql = "SELECT tag.name FROM label JOIN tag ON tag.id = label.tag_id
                   GROUP BY 1 ORDER BY count(*) DESC LIMIT 8";
        let mut statement = database.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    // Labels that a shell, a terminal or an option would read as something else.
    for (label, hostile) in labels.iter_mut().zip(["-x", "it's \u{200d}\u{1b}[2J", "$(id)\\"]) {
        let sql = format!(
            "UPDATE tag SET name = '{}' WHERE name = '{label}'",
            hostile.replace('\'', "''")
        );
        site.tamper(&sql);
        hostile.clone_into(label);
    }
    let names: Vec<&str> = labels.iter().map(String::as_str).collect();
    let served = site.serve(&["--db", "costag.db"]);
    let (mut dice, mut tried, mut found) = (Dice(7), 0, 0);
    for _ in 0..90 {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let mut wanted = "";
        for mode in ["all", "any", "any", "not"] {
            if dice.below(3) == 0 {
                query.append_pair(mode, dice.one_of(&names));
            }
        }
        if dice.below(4) == 0 {
            query.append_pair("scene", dice.one_of(&["web", "camera", "album"]));
        }
        if dice.below(4) == 0 {
            query.append_pair("confidence", dice.one_of(&["30", "60", "80"]));
        }
        if dice.below(4) == 0 {
            wanted = dice.one_of(&["a/", "-b/", "it's/", "می\u{200c}", "none/"]);
            query.append_pair("prefix", wanted);
        }
        let other = match dice.below(12) {
            0 => Some(("state", dice.one_of(&["labelled", "unlabelled", "failed"]))),
            1 => Some(("category", "animal")),
            2 => Some(("date", "2026")),
            _ => None,
        };
        query.extend_pairs(other);
        let query = query.finish();
        let Some(command) = command(&served, &query) else { continue };
        let words = words_of(&command);
        let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let printed = site.costag(&[&words[..], &["--null"]].concat()).with(0).stdout;
        let printed: Vec<&str> = printed.split_terminator('\0').collect();
        let told: BTreeSet<String> = printed.iter().map(|key| (*key).to_owned()).collect();
        assert_eq!(told.len(), printed.len(), "{command}");
        let listed = downloaded(&site, &served, &query);
        assert_eq!(told, keys(&site, &listed, wanted), "{query}: {command}");
        tried += 1;
        found += usize::from(!told.is_empty());
    }
    assert!(tried > 30 && found > 15, "{tried} commands, of which {found} found something");
    // Images without an answer are shown, and no command finds them.
    assert!(command(&served, "not=nothing").is_none());
    assert!(downloaded(&site, &served, "not=nothing").len() > 30);
}

#[test]
fn without_a_filter_prefixes_and_months_count_keys_and_say_so() {
    let site = Site::holding(&[("a/1.jpg", "one"), ("a/copy.jpg", "one"), ("b/2.jpg", "two")]);
    site.run(&[]).with(0);
    let served = site.serve(&[]);
    let facet = |page: &str, name: &str| {
        let (_, rest) =
            page.split_once(&format!("<h2>{name}</h2>")).unwrap_or_else(|| panic!("{page}"));
        text(rest.split("</section>").next().unwrap()).replace('\n', " ")
    };
    let open = served.get("/explore");
    assert!(open.contains("2 images."), "{open}");
    let prefixes = facet(&open, "Prefix, in keys");
    assert!(prefixes.contains("a/2") && prefixes.contains("b/1"), "{prefixes}");
    let months = facet(&open, "Changed in (UTC), in keys");
    assert!(months.trim().ends_with('3'), "{months}");
    // With a filter, images are counted.
    let narrowed = served.get("/explore?state=labelled");
    let prefixes = facet(&narrowed, "Prefix");
    assert!(prefixes.contains("a/1") && prefixes.contains("b/1"), "{prefixes}");
    facet(&narrowed, "Changed in (UTC)");
}

#[test]
fn the_page_shows_aliases_and_searches_for_stored_names() {
    let objects: Vec<(String, String)> =
        (0..9).map(|n| (format!("{n}.jpg"), format!("picture {n}"))).collect();
    let objects: Vec<_> = objects.iter().map(|(key, bytes)| (&**key, &**bytes)).collect();
    let site = Site::holding(&objects);
    site.run(&["--scenes", "web,camera"]).with(0);
    let tag = |sql: &str| -> Vec<String> {
        let database = site.database();
        let mut statement = database.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let names = tag("SELECT tag.name FROM label JOIN tag ON tag.id = label.tag_id
                     GROUP BY 1 ORDER BY count(*) DESC LIMIT 2");
    let first = tag("SELECT DISTINCT first_category FROM tag ORDER BY 1 LIMIT 1");
    site.tamper(&format!("UPDATE tag SET name = 'stored one' WHERE name = '{}'", names[0]));
    site.tamper(&format!("UPDATE tag SET name = 'stored two' WHERE name = '{}'", names[1]));
    let aliases = format!(
        "kind,name,alias\nlabel,stored one,Shared <alias>\nlabel,stored two,Shared <alias>\nfirst,{},Of a kind\n",
        first[0]
    );
    site.write("names.csv", aliases);
    // The command that is shown reads this file too.
    site.write("named.toml", "aliases = \"names.csv\"\n");
    let served = site.serve(&["--config", "named.toml"]);
    let image = downloaded(&site, &served, "all=stored+one").pop_first().unwrap();
    let image = format!("/image/{image}");
    for page in ["/", "/labels", "/explore", "/explore?all=stored+one", &image] {
        let html = served.get(page);
        assert!(html.contains("<bdi>Shared &#60;alias&#62;</bdi>"), "{page}: {html}");
        assert!(!html.contains("<bdi>stored one</bdi>"), "{page}: {html}");
    }
    assert!(served.get("/").contains("Of a kind"));
    for found in ["hared", "ored+on"] {
        let html = served.get(&format!("/explore?find={found}"));
        assert!(html.contains("all=stored+one"), "{html}");
    }
    assert!(served.get("/explore.csv?all=stored+one").contains("Shared <alias>:"));
    // Both labels have this alias, and the command finds only the images of one.
    let command = command(&served, "all=stored+one&not=stored+two").unwrap();
    let words = words_of(&command);
    let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    let printed = site.costag(&words).with(0).stdout;
    let printed: BTreeSet<String> = printed.lines().map(str::to_owned).collect();
    let listed = downloaded(&site, &served, "all=stored+one&not=stored+two");
    assert_eq!(printed, keys(&site, &listed, ""));
}
