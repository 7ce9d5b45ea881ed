//! Corrects what people type out of habit: names of commands and options of coscli, rclone, s5cmd and restic, addresses as
//! a browser shows them, and full-width commas. The message says how costag does the same, and shows the corrected command
//! if there is one.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::suggest::Suggestion;
use crate::cos::Bucket;
use crate::visible::{visible, without_password};

/// Names of commands of other tools, a text about the command of costag that does the same, and a command that explains it.
const COMMANDS: &[(&[&str], &str, &[&str])] = &[
    (
        &["ls", "list", "lsf", "lsl", "tree", "dir"],
        "a run lists the bucket by itself; a plan shows what it would label",
        &["plan", "--help"],
    ),
    (
        &["search", "grep", "query", "select"],
        "find prints keys by their labels",
        &["find", "--help"],
    ),
    (
        &["check", "test", "lint", "validate", "ping"],
        "doctor checks the setup, and verify the database",
        &["doctor", "--help"],
    ),
    (
        &["tag", "label", "sync", "start", "scan", "cp", "copy", "detect"],
        "run labels a bucket",
        &["run", "--help"],
    ),
    (&["continue", "restart"], "resume continues an unfinished run", &["resume", "--help"]),
    (&["size", "du", "count", "ncdu", "top"], "stats counts labels", &["stats", "--help"]),
    (
        &["snapshots", "log", "logs", "history", "jobs", "progress", "info"],
        "status shows the runs",
        &["status", "--help"],
    ),
    (
        &["cost", "costs", "bill", "billing", "usage", "price"],
        "ledger sums up calls and costs",
        &["ledger", "--help"],
    ),
    (
        &["dump", "csv", "download", "get", "cat", "output"],
        "export writes the labels",
        &["export", "--help"],
    ),
    (
        &["init", "configure", "setup", "login", "conf"],
        "settings are options, variables or a file, and config shows them",
        &["config", "--help"],
    ),
    (&["diff"], "changes shows what a listing found", &["changes", "--help"]),
];

/// What replaces an option of another tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instead {
    /// This option of `costag run`. The message is shown for every command that has the same option.
    Option(&'static str),
    /// Nothing, because the command does it without an option. The message is shown for commands that take the address of a
    /// bucket.
    Needless,
    /// The address of the bucket. The message is shown for commands that take one. The corrected command is not known.
    Address,
    /// The environment or a file, because no command takes secrets as options. No command is suggested, since a secret may
    /// be among its words.
    Secret,
}

/// Names of options of other tools, what replaces them, and the text that explains it.
const OPTIONS: &[(&[&str], Instead, &str)] = &[
    (
        &["rate", "tpslimit", "rate-limit", "max-rps", "rps", "tps", "limit-rate", "max-qps"],
        Instead::Option("--qps"),
        "--qps sets the calls a second",
    ),
    (
        &[
            "concurrency",
            "transfers",
            "parallel",
            "jobs",
            "threads",
            "thread-num",
            "routines",
            "numworkers",
        ],
        Instead::Option("--workers"),
        "--workers sets how many calls are in flight",
    ),
    (
        &["checkers"],
        Instead::Option("--list-workers"),
        "--list-workers sets how many requests list the bucket",
    ),
    (
        &["filter", "pattern", "glob", "match"],
        Instead::Option("--include"),
        "--include chooses keys by a glob",
    ),
    (&["ignore", "skip"], Instead::Option("--exclude"), "--exclude leaves keys out by a glob"),
    (&["endpoint-url", "host"], Instead::Option("--endpoint"), "--endpoint names the host"),
    (&["database", "db-path"], Instead::Option("--db"), "--db names the database"),
    (
        &["config-path", "conf", "config-file"],
        Instead::Option("--config"),
        "--config names the file of settings",
    ),
    (&["log-level"], Instead::Option("--log"), "--log sets what is logged"),
    (
        &["max-items", "max-keys", "first"],
        Instead::Option("--limit"),
        "--limit ends a run after a number of images",
    ),
    (
        &["budget", "max-price"],
        Instead::Option("--max-cost"),
        "--max-cost ends a run before it costs more",
    ),
    (
        &["extensions", "ext", "types"],
        Instead::Option("--suffixes"),
        "--suffixes chooses keys by their suffix",
    ),
    (
        &["recursive", "recurse", "all-versions"],
        Instead::Needless,
        "a prefix is always listed with everything below it, so the option is not needed",
    ),
    (
        &["force", "overwrite", "redo"],
        Instead::Needless,
        "an image is called again only after retag has asked for it",
    ),
    (
        &["bucket", "prefix"],
        Instead::Address,
        "bucket and prefix are the address: cos://BUCKET-APPID/PREFIX",
    ),
    (
        &[
            "secret-id",
            "secret-key",
            "secret",
            "access-key",
            "access-key-id",
            "access-key-secret",
            "secret-access-key",
            "session-token",
            "token",
            "ak",
            "sk",
        ],
        Instead::Secret,
        "secrets are never options: set COSTAG_SECRET_ID and COSTAG_SECRET_KEY",
    ),
];

/// Options that take a list, whose items a comma separates.
const LISTS: [&str; 5] = ["--scenes", "--scene", "-s", "--suffixes", "--columns"];

/// Whether the parser takes these words of a command line.
pub(super) type Parses = fn(&[String]) -> bool;

/// A message about a command line, and the corrected command if it is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Correction {
    pub(super) text: String,
    pub(super) command: Option<Suggestion>,
}

/// Returns the correction of a command line whose words another tool understands. `words` are those of the command line,
/// without the name of the program, and `program` knows its commands. `None` if the parser's own message is better.
pub(super) fn foreign(
    error: &clap::Error,
    words: &[String],
    program: &clap::Command,
    parses: Parses,
) -> Option<Correction> {
    let named = |kind| match error.get(kind) {
        Some(ContextValue::String(name)) => Some(name.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let name = named(ContextKind::InvalidSubcommand)?;
            let (_, text, command) = COMMANDS.iter().find(|(names, ..)| names.contains(&name))?;
            Some(Correction {
                text: format!("there is no command {}: {text}:", visible(name)),
                command: Some(Suggestion::plain(command.iter().copied())),
            })
        }
        ErrorKind::UnknownArgument => {
            let given = named(ContextKind::InvalidArg)?;
            let name = given.trim_start_matches('-').split(['=', ' ']).next()?;
            let (_, instead, text) = OPTIONS.iter().find(|(names, ..)| names.contains(&name))?;
            let told = format!("there is no option --{}: {text}", visible(name));
            let option = match instead {
                Instead::Option(option) => {
                    is_of_command(program, words, option).then_some(Some(*option))?
                }
                Instead::Needless => takes_address(program, words).then_some(None)?,
                Instead::Address if takes_address(program, words) => {
                    return Some(Correction { text: told, command: None });
                }
                Instead::Address => return None,
                Instead::Secret => return Some(Correction { text: told, command: None }),
            };
            let corrected = words.iter().filter_map(|word| {
                let (typed, value) = word.split_once('=').unwrap_or((word, ""));
                match (typed == format!("--{name}"), option) {
                    (false, _) => Some(word.clone()),
                    (true, Some(option)) if value.is_empty() => Some(option.to_owned()),
                    (true, Some(option)) => Some(format!("{option}={value}")),
                    (true, None) => None,
                }
            });
            Some(correction(&told, corrected, parses))
        }
        _ => None,
    }
}

/// The command that these words name. It is that of the program if they name none.
fn named_command<'p>(program: &'p clap::Command, words: &[String]) -> &'p clap::Command {
    words.iter().fold(program, |command, word| command.find_subcommand(word).unwrap_or(command))
}

/// Whether the command has the option that `run` has. Some commands have another option of the same name, with another help.
fn is_of_command(program: &clap::Command, words: &[String], option: &str) -> bool {
    let help = |command: &clap::Command| {
        let mut all = command.get_arguments();
        let found = all.find(|arg| arg.get_long() == option.strip_prefix("--"))?;
        Some(found.get_help().map(ToString::to_string))
    };
    let of_run = program.find_subcommand("run").and_then(help);
    // The options of the program itself are those of every command.
    help(program).is_some() || (of_run.is_some() && help(named_command(program, words)) == of_run)
}

/// Whether the command takes the address of a bucket.
fn takes_address(program: &clap::Command, words: &[String]) -> bool {
    named_command(program, words).get_positionals().any(|arg| arg.get_id() == "address")
}

/// Returns the correction of an address that has the form of another tool or of a browser.
pub(super) fn address(address: &str, words: &[String], parses: Parses) -> Option<Correction> {
    let (meant, region) = meant(address)?;
    let mut corrected: Vec<String> = words.to_vec();
    let word = corrected.iter_mut().find(|word| *word == address)?;
    word.clone_from(&meant);
    let has_region = words.iter().any(|word| {
        ["-r", "--region", "--endpoint"].contains(&word.as_str()) || word.starts_with("--region=")
    });
    if let Some(region) = region.filter(|_| !has_region) {
        corrected.extend(["--region".to_owned(), region]);
    }
    let text =
        "the address of a bucket has the form cos://BUCKET-APPID or cos://BUCKET-APPID/PREFIX";
    Some(correction(text, corrected, parses))
}

/// Returns the correction of full-width commas in lists. `None` if there are none.
pub(super) fn comma(words: &[String], parses: Parses) -> Option<Correction> {
    let is_wide = |c: char| matches!(c, '，' | '、' | '﹐' | '､');
    let mut corrected = words.to_vec();
    let mut found = false;
    for place in 0..corrected.len() {
        let of_list = |word: &String| LISTS.contains(&word.as_str());
        let is_value = place > 0 && of_list(&words[place - 1]);
        let is_joined =
            corrected[place].split_once('=').is_some_and(|(option, _)| LISTS.contains(&option));
        if (is_value || is_joined) && corrected[place].contains(is_wide) {
            corrected[place] = corrected[place].replace(is_wide, ",");
            found = true;
        }
    }
    found.then(|| {
        correction(
            "a full-width comma does not separate the items of a list: write ,",
            corrected,
            parses,
        )
    })
}

/// The message, and the command if the parser takes it. A command with a password is not shown, and it could not be pasted
/// without the password.
fn correction(text: &str, words: impl IntoIterator<Item = String>, parses: Parses) -> Correction {
    let words: Vec<String> = words.into_iter().collect();
    let is_harmless = words.iter().all(|word| without_password(word) == *word);
    if is_harmless && parses(&words) {
        let command = Suggestion::plain(words.iter().map(String::as_str));
        return Correction { text: format!("{text}; that is:"), command: Some(command) };
    }
    Correction { text: text.to_owned(), command: None }
}

/// The address that is meant, and its region if it is known.
fn meant(address: &str) -> Option<(String, Option<String>)> {
    let whole = |bucket: &str, prefix: &str| {
        Bucket::parse(bucket).ok()?;
        Some(match prefix {
            "" => format!("cos://{bucket}"),
            prefix => format!("cos://{bucket}/{prefix}"),
        })
    };
    let rest = ["https://", "http://", "cos:/", "cos:", "s3://", "COS://"]
        .iter()
        .find_map(|scheme| address.strip_prefix(scheme))
        .unwrap_or(address);
    let rest = rest.trim_start_matches('/');
    let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if let Some(name) = host.strip_suffix(".myqcloud.com") {
        let mut parts = name.split('.');
        let bucket = parts.next()?;
        let service = parts.next()?;
        let region = parts.next().map(str::to_owned);
        let prefix = prefix.split('?').next()?;
        let prefix = crate::cos::encode::decode(prefix).ok()?;
        let is_cos = ["cos", "ci", "cos-internal", "pic"].contains(&service);
        return Some((whole(bucket, &prefix).filter(|_| is_cos)?, region));
    }
    Some((whole(host, prefix)?, None))
}

/// The environment variables that costag reads besides those of the settings.
const VARIABLES: [&str; 7] = [
    "COSTAG_CONFIG",
    "COSTAG_NOTIFY_TO",
    "COSTAG_PING_URL",
    "COSTAG_PROFILE",
    "COSTAG_SECRET_ID",
    "COSTAG_SECRET_KEY",
    "COSTAG_TOKEN",
];

/// The variable of [`VARIABLES`] whose name is almost this one.
fn nearest_variable(name: &str) -> Option<&'static str> {
    let distance = |known: &&'static str| strsim::levenshtein(&name.to_ascii_uppercase(), known);
    VARIABLES.into_iter().min_by_key(distance).filter(|known| distance(known) <= 2)
}

/// A warning for each environment variable whose name is similar to one that costag reads. `settings` gives the setting
/// whose name is similar.
pub(super) fn misspelt(
    names: impl IntoIterator<Item = String>,
    settings: impl Fn(&str) -> Option<&'static str>,
    is_setting: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut told: Vec<String> = names
        .into_iter()
        .filter(|name| name.starts_with("COSTAG_") && !name.starts_with("COSTAG_TEST_"))
        .filter(|name| !VARIABLES.contains(&name.as_str()) && name != "COSTAG_REQUIRE_ALL")
        .filter(|name| !is_setting(name))
        .filter_map(|name| {
            let key = name.trim_start_matches("COSTAG_").to_ascii_lowercase();
            let near = nearest_variable(&name)
                .map(str::to_owned)
                .or_else(|| settings(&key).map(crate::config::variable))?;
            Some(format!("warning: {} has no effect: did you mean {near}?", visible(&name)))
        })
        .collect();
    told.sort_unstable();
    told
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::{Cli, parses};

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn told(line: &str) -> (String, Option<String>) {
        let all = std::iter::once("costag".to_owned()).chain(words(line));
        let error = Cli::try_parse_from(all).unwrap_err();
        let correction = foreign(&error, &words(line), &Cli::command(), parses).unwrap();
        (correction.text, correction.command.map(|command| command.shown()))
    }

    #[test]
    fn foreign_names_are_answered_with_the_way_of_costag() {
        for (names, _, command) in COMMANDS {
            for name in *names {
                let (text, shown) = told(name);
                assert!(text.contains(name), "{text}");
                assert_eq!(shown.unwrap(), format!("costag {}", command.join(" ")));
            }
        }
        let (text, command) = told("run cos://a-1250000000 --tpslimit 5");
        assert!(text.contains("--qps") && !text.contains("--limit "), "{text}");
        assert_eq!(command.unwrap(), "costag run cos://a-1250000000 --qps 5");
        let (_, command) = told("run cos://a-1250000000 --transfers=8 -y");
        assert_eq!(command.unwrap(), "costag run cos://a-1250000000 --workers=8 -y");
        let (_, command) = told("run cos://a-1250000000 --recursive");
        assert_eq!(command.unwrap(), "costag run cos://a-1250000000");
        let (text, command) = told("run --bucket a-1250000000");
        assert!(text.contains("cos://BUCKET-APPID") && command.is_none(), "{text}");
        for (names, instead, _) in OPTIONS {
            if let Instead::Option(option) = instead {
                assert!(is_of_command(&Cli::command(), &words("run"), option), "{names:?}");
            }
        }
    }

    #[test]
    fn an_option_that_the_command_does_not_have_is_not_suggested() {
        for line in [
            "find --filter x",
            "export --filter x",
            "stats --filter x",
            "export --first 5",
            "status --jobs 3",
            "config init --first 3",
            "export --overwrite",
            "find --recursive",
            "status --prefix x",
        ] {
            let all = std::iter::once("costag".to_owned()).chain(words(line));
            let error = Cli::try_parse_from(all).unwrap_err();
            assert_eq!(foreign(&error, &words(line), &Cli::command(), parses), None, "{line}");
        }
        assert!(told("export --db-path x.db").0.contains("--db names"));
        assert!(told("doctor cos://a-1250000000 --host h").0.contains("--endpoint names"));
    }

    #[test]
    fn scene_and_scenes_mean_the_same_in_every_command() {
        for line in ["run cos://a-1", "plan cos://a-1", "resume", "config init"] {
            assert!(parses(&words(&format!("{line} --scenes web"))), "{line}");
        }
        for line in ["find --label x", "export", "retag --all"] {
            assert!(parses(&words(&format!("{line} --scene web"))), "{line}");
        }
        let mut names = 0;
        let mut all = vec![Cli::command()];
        while let Some(command) = all.pop() {
            all.extend(command.get_subcommands().cloned());
            for arg in command.get_arguments() {
                let long = arg.get_long().into_iter();
                let mut known: Vec<_> =
                    long.chain(arg.get_all_aliases().into_iter().flatten()).collect();
                known.sort_unstable();
                if known.contains(&"scene") || known.contains(&"scenes") {
                    names += 1;
                    assert_eq!(known, ["scene", "scenes"], "{}", command.get_name());
                }
            }
        }
        assert!(names >= 7, "{names}");
    }

    #[test]
    fn a_corrected_command_shows_no_secret() {
        for (names, instead, _) in OPTIONS {
            for name in names.iter().filter(|_| *instead == Instead::Secret) {
                for line in [
                    format!("run --{name} geheim"),
                    format!("run --{name}=geheim"),
                    format!("run cos://a-1250000000 --{name} geheim"),
                    format!("run geheim --{name}"),
                    format!("plan --{name} geheim"),
                    format!("doctor --{name} geheim"),
                    format!("find --label x --{name} geheim"),
                ] {
                    let (text, command) = told(&line);
                    assert!(text.contains("COSTAG_SECRET_KEY"), "{text}");
                    assert!(!text.contains("geheim") && command.is_none(), "{line}: {command:?}");
                }
            }
        }
        let endpoint = "http://u:geheim@h/";
        for line in [
            format!("run cos://a-1250000000 --endpoint-url {endpoint}"),
            format!("run --endpoint-url={endpoint}"),
            format!("plan cos://a-1250000000 --recursive --endpoint {endpoint}"),
            "run cos://a-1250000000 --host u:geheim@h".to_owned(),
        ] {
            let (text, command) = told(&line);
            assert!(!text.contains("geheim") && command.is_none(), "{line}: {command:?}");
        }
        let line =
            words(&format!("run cos://a-1250000000 --scenes web，news --endpoint {endpoint}"));
        assert_eq!(comma(&line, parses).unwrap().command, None);
        let line = words(&format!("run a-1250000000 --endpoint {endpoint}"));
        assert_eq!(address("a-1250000000", &line, parses).unwrap().command, None);
    }

    #[test]
    fn an_address_of_a_browser_or_without_its_scheme_is_corrected() {
        let corrected = |given: &str| {
            let line = words(&format!("run {given}"));
            address(given, &line, parses)
                .and_then(|told| told.command)
                .map(|command| command.shown())
        };
        let host = "https://a-1250000000.cos.ap-guangzhou.myqcloud.com";
        assert_eq!(
            corrected(&format!("{host}/2026/%E7%8C%AB.jpg")).unwrap(),
            "costag run 'cos://a-1250000000/2026/猫.jpg' --region ap-guangzhou"
        );
        assert_eq!(corrected(host).unwrap(), "costag run cos://a-1250000000 --region ap-guangzhou");
        assert_eq!(corrected("a-1250000000/x").unwrap(), "costag run cos://a-1250000000/x");
        assert_eq!(corrected("cos:a-1250000000").unwrap(), "costag run cos://a-1250000000");
        assert_eq!(corrected("https://example.com/a"), None);
        assert_eq!(corrected("photos"), None);
    }

    #[test]
    fn a_full_width_comma_is_corrected_in_lists_only() {
        let corrected = |line: &str| {
            comma(&words(line), parses).and_then(|told| told.command).map(|command| command.shown())
        };
        assert_eq!(
            corrected("run cos://a-1250000000 --scenes web，camera").unwrap(),
            "costag run cos://a-1250000000 --scenes web,camera"
        );
        assert_eq!(
            corrected("run cos://a-1250000000 --suffixes=jpg、png").unwrap(),
            "costag run cos://a-1250000000 --suffixes=jpg,png"
        );
        assert_eq!(corrected("run cos://a-1250000000/猫，犬 --include 猫，犬"), None);
    }

    #[test]
    fn a_misspelt_variable_is_told_with_the_most_similar_one() {
        let names = ["COSTAG_QSP", "COSTAG_QPS", "COSTAG_TOKEN", "COSTAG_TEST_X", "HOME"];
        let near = |key: &str| (key == "qsp").then_some("qps");
        let told = |names: &[&str]| {
            misspelt(names.iter().map(|name| (*name).to_owned()), near, |name| name == "COSTAG_QPS")
        };
        assert_eq!(told(&names), ["warning: COSTAG_QSP has no effect: did you mean COSTAG_QPS?"]);
        for (typed, meant) in [
            ("COSTAG_PROFIL", "COSTAG_PROFILE"),
            ("COSTAG_NOTIFYTO", "COSTAG_NOTIFY_TO"),
            ("COSTAG_PING_ULR", "COSTAG_PING_URL"),
            ("COSTAG_SECRETID", "COSTAG_SECRET_ID"),
            ("COSTAG_CONFG", "COSTAG_CONFIG"),
            ("COSTAG_TOKENS", "COSTAG_TOKEN"),
        ] {
            let warning = format!("warning: {typed} has no effect: did you mean {meant}?");
            assert_eq!(told(&[typed]), [warning]);
        }
    }
}
