use url::form_urlencoded;

use super::super::terms::tests::terms;
use super::*;

fn explore(query: &str) -> Explore {
    let query = Query::of(form_urlencoded::parse(query.as_bytes())).unwrap();
    let facets = Facets {
        images: 7,
        labels: vec![crate::store::read::LabelFacet {
            name: "cat".to_owned(),
            first_category: "animal".to_owned(),
            images: 5,
        }],
        prefixes: vec![("2026/11/".to_owned(), 4)],
        complete: true,
        ..Facets::default()
    };
    Explore::of(&query, &Page::default(), &facets, &terms(), |_| None)
}

#[test]
fn a_chip_goes_from_all_to_any_to_not() {
    let view = explore("all=cat&not=dog&after=9");
    let chips: Vec<_> = view.chips.iter().map(|chip| (chip.mode, chip.other.as_str())).collect();
    assert_eq!(chips, [("all", "/explore?any=cat&not=dog"), ("not", "/explore?all=cat&all=dog")]);
    assert_eq!(view.chips[0].without, "/explore?not=dog");
    let cat = &view.facets.iter().find(|facet| facet.finds).unwrap().choices[0];
    assert_eq!((cat.is_on, cat.href.as_str()), (true, "/explore?not=dog"));
}

#[test]
fn the_command_finds_the_same_or_says_why_there_is_none() {
    let view = explore("all=it's&not=dog&scene=web&confidence=70&prefix=a b/");
    let parts = view.command.unwrap().parts;
    assert_eq!(
        parts,
        [
            "costag find",
            r"--label 'it'\''s'",
            "--not dog",
            "--scene web",
            "--min-confidence 70",
            "--prefix 'a b/'",
            "--db nightly.db"
        ]
    );
    let view = explore("any=cat&any=dog&state=labelled");
    let parts = view.command.unwrap().parts;
    assert_eq!(parts, ["costag find", "--any cat", "--any dog", "--db nightly.db"]);
    for (query, why) in [
        ("any=cat&state=failed", "knows other states"),
        ("state=labelled", "knows other states"),
        ("all=cat&date=2026", "knows no end of a time"),
        ("all=cat&category=animal", "second categories too"),
        ("not=dog", "leaves out images without an answer"),
        ("not=dog&confidence=70&scene=web", "leaves out images without an answer"),
        ("confidence=70", "Choose a label"),
    ] {
        let view = explore(query);
        assert!(view.command.is_none() && view.no_command.contains(why), "{query}");
    }
}

#[test]
fn a_prefix_leads_deeper_and_back() {
    let view = explore("prefix=2026/");
    let facet = view.facets.iter().find(|facet| facet.name == "Prefix").unwrap();
    assert_eq!(facet.choices[0].name, "11/");
    let view = explore("prefix=2026/11/");
    let facet = view.facets.iter().find(|facet| facet.name == "Prefix").unwrap();
    assert_eq!(facet.choices[0].name, "‹ 2026/");
    assert_eq!(facet.choices[0].href, "/explore?prefix=2026%2F");
}
