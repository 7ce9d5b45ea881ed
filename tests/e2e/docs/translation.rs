//! The README in Chinese says what the README in English says.

use super::{links, page, rows};

/// What a translation of a page must keep: the levels of its headings, its blocks without their comments, its inline code,
/// and the targets of its links, in the order of the page except for inline code and links.
#[derive(Debug, PartialEq)]
struct Skeleton {
    headings: Vec<usize>,
    blocks: Vec<String>,
    rows: Vec<usize>,
    code: Vec<String>,
    links: Vec<String>,
}

impl Skeleton {
    fn of(text: &str) -> Self {
        let mut skeleton = Self {
            headings: Vec::new(),
            blocks: Vec::new(),
            rows: rows(text).iter().map(Vec::len).collect(),
            code: Vec::new(),
            links: Vec::new(),
        };
        let mut prose = String::new();
        for (number, part) in text.split("```").enumerate() {
            if number % 2 == 0 {
                prose.push_str(part);
                continue;
            }
            let lines = part.lines().map(|line| {
                let command =
                    if part.starts_with("sh\n") { line.split(" # ").next() } else { None };
                command.unwrap_or(line).trim_end()
            });
            skeleton.blocks.push(lines.collect::<Vec<_>>().join("\n"));
        }
        for line in prose.lines().filter(|line| line.starts_with('#')) {
            skeleton.headings.push(line.chars().take_while(|letter| *letter == '#').count());
        }
        let code = prose.split('`').skip(1).step_by(2);
        skeleton.code = code.map(|code| code.replace('\n', " ")).collect();
        skeleton.code.sort_unstable();
        skeleton.links = links(&prose)
            .filter(|target| !target.starts_with("README"))
            .map(str::to_owned)
            .collect();
        skeleton.links.sort_unstable();
        skeleton
    }
}

#[test]
fn the_chinese_readme_has_the_blocks_tables_commands_and_links_of_the_english_one() {
    let (english, chinese) = (page("README.md"), page("README.zh-CN.md"));
    let (english, chinese) = (Skeleton::of(&english), Skeleton::of(&chinese));
    assert_eq!(english.headings, chinese.headings);
    for (ours, theirs) in english.blocks.iter().zip(&chinese.blocks) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(english, chinese);
}
