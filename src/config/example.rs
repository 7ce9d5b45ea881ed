//! The text of `config/costag.toml`: every setting with its help and its default, commented out.

use std::fmt::Write as _;

use figment::value::Value;

use super::Settings;
use super::definitions::{SECTIONS, Setting};

/// The longest line, in characters.
const WIDTH: usize = 118;

const INTRODUCTION: &str = "\
Settings of costag. Each setting is shown with its default; remove the \"#\" before it to change it.

An option (--qps 20) wins over an environment variable (COSTAG_QPS=20), the variable wins over a profile, the profile wins \
over the files, and the files win over the default. An empty variable counts as not set. `costag config show` prints every \
setting and where its value came from; `costag config check FILE` only reads a file and tells what is wrong with it.

costag reads your own file, ~/.config/costag/costag.toml, and then ./costag.toml, or instead of that the file that --config \
or COSTAG_CONFIG names. The later file wins. A file that was merely found in the current folder must not set what is marked \
\"named file only\" and must not have profiles, because somebody else may have left it there. It must also be a regular \
file that belongs to you or root and that not everybody can write. Your own file and one that you name may set everything.

Paths are relative to the folder in which costag is started. Durations are texts with the units d, h, m, s and ms, such as \
\"90s\", \"15m\" or \"1h30m\". Sizes are bytes, or texts with k, M, G or T (powers of 1024), such as \"500k\" or \"20M\". An \
empty text \"\" means none.

Secrets are not settings: never write a secret id, a key or a token here.";

/// The value of a setting as a line of the file has it. A text, a number, a flag or a list reads the same in JSON and TOML.
pub fn written(value: &Value) -> String {
    match value {
        Value::Array(_, items) => {
            format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", "))
        }
        value => serde_json::to_string(value).unwrap_or_default(),
    }
}

/// What the file says about profiles, which come last, because a table of TOML ends the settings above it.
const PROFILES: &str = "\
A profile has the address of a bucket, and settings that win over those above and over those of every other file: `costag \
run NAME` runs over its bucket, `--profile NAME` applies its settings to any command, and `costag run --all` runs over the \
bucket of each profile in the order of the file. All settings can be in a profile.";

const PROFILE: &str = r#"#
#     [profile.photos]
#     address = "cos://photos-1250000000/2026/"
#     region = "ap-guangzhou"
#     scenes = ["web", "camera"]
#     db = "photos.db"
#     max_calls = 50000
"#;

/// The text of `config/costag.toml`.
pub fn example() -> String {
    let defaults = Settings::default();
    let mut text = String::new();
    for paragraph in INTRODUCTION.split("\n\n") {
        if !text.is_empty() {
            text.push_str("#\n");
        }
        comment(paragraph, &mut text);
    }
    for section in SECTIONS {
        if !section.heading.is_empty() {
            let _ = write!(text, "\n\n## {}\n", section.heading);
        }
        for setting in section.settings {
            text.push('\n');
            comment(&description(setting), &mut text);
            let _ = writeln!(text, "# {} = {}", setting.name, written(&(setting.get)(&defaults)));
        }
    }
    text.push_str("\n\n## Profiles: named file or your own file only.\n\n");
    comment(PROFILES, &mut text);
    text.push_str(PROFILE);
    text
}

fn description(setting: &Setting) -> String {
    let mut text = format!("{}.", setting.help);
    if !setting.more.is_empty() {
        let _ = write!(text, " {}", setting.more);
    }
    if setting.guarded.is_some() {
        text.push_str(" Named file only.");
    }
    text
}

/// Appends a text as lines of comment.
fn comment(text: &str, out: &mut String) {
    let mut length = 0;
    for word in text.split(' ') {
        if length > 0 && length + 1 + word.chars().count() > WIDTH {
            out.push('\n');
            length = 0;
        }
        if length == 0 {
            out.push('#');
            length = 1;
        }
        let _ = write!(out, " {word}");
        length += 1 + word.chars().count();
    }
    out.push('\n');
}
