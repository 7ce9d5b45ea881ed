//! Checks the commands that an output suggests: each is parsed by the program's own definition, and those that work on a
//! database are run on a copy of the folder.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Parser as _;

use super::nobody;

/// How a program was started.
#[derive(Clone)]
pub(crate) struct Start {
    folder: PathBuf,
    variables: Vec<(OsString, Option<OsString>)>,
    words: Vec<String>,
}

impl Start {
    pub(crate) fn of(command: &Command) -> Self {
        let owned = |(name, value): (&std::ffi::OsStr, Option<&std::ffi::OsStr>)| {
            (name.to_owned(), value.map(ToOwned::to_owned))
        };
        Self {
            folder: command.get_current_dir().map(Path::to_owned).unwrap_or_default(),
            variables: command.get_envs().map(owned).collect(),
            words: command.get_args().map(|word| word.to_string_lossy().into_owned()).collect(),
        }
    }

    /// Checks every command in an output of the program, which has ended with this code.
    #[track_caller]
    pub(crate) fn check(&self, output: &str, ended_with: Option<i32>) {
        let describes = ["help", "--help", "-h", "man", "completions", "config", "emulator"];
        if self.words.is_empty() || self.words.iter().any(|word| describes.contains(&word.as_str()))
        {
            return;
        }
        for line in output.lines() {
            let line = line.trim_end_matches('\r');
            // A command within a sentence is not complete, and cannot be pasted.
            assert!(!line.contains("`costag "), "a command stands in a sentence: {line}");
            let command = line.trim_start();
            if command.len() < line.len() && command.starts_with("costag ") {
                self.check_command(command, ended_with);
            }
        }
    }

    #[track_caller]
    fn check_command(&self, line: &str, ended_with: Option<i32>) {
        let words = words_of(line);
        let parsed = costag::cli::Cli::try_parse_from(&words);
        let is_help = matches!(&parsed, Err(error) if !error.use_stderr());
        assert!(parsed.is_ok() || is_help, "{line}: {}", parsed.unwrap_err());
        // Placeholders, values that are not shown, and files elsewhere cannot be tried.
        let elsewhere = |word: &String| word.starts_with('/');
        if is_help
            || line.contains("BUCKET-APPID")
            || line.contains('…')
            || words.iter().any(elsewhere)
        {
            return;
        }
        let resumes = words[1] == "resume";
        let is_safe =
            ["status", "retry", "export", "verify", "config"].contains(&words[1].as_str());
        // A run that waits for the network would take long: it is only tried as far as its beginning.
        if !is_safe && !resumes {
            return;
        }
        let copy = tempfile::tempdir().unwrap();
        let copied =
            Command::new("cp").arg("-a").arg(self.folder.join(".")).arg(copy.path()).status();
        if !copied.is_ok_and(|status| status.success()) {
            return;
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_costag"));
        command.env_clear().current_dir(copy.path()).stdin(Stdio::null());
        // Monitors and people must not hear of a copy.
        let tells = |name: &OsString| {
            ["PING", "NOTIFY"].iter().any(|part| name.to_string_lossy().contains(part))
        };
        for (name, value) in self.variables.iter().filter(|(name, _)| !tells(name)) {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("COSTAG_PING", "false").env("COSTAG_NOTIFY", "never");
        let mut words = words;
        if resumes {
            let nowhere = format!("http://{}", nobody());
            match words.iter().position(|word| word == "--endpoint") {
                Some(at) => words[at + 1] = nowhere,
                None => words.extend(["--endpoint".to_owned(), nowhere]),
            }
            for (option, value) in [("--patience", "1ms"), ("--progress", "none")] {
                if !words.iter().any(|word| word == option) {
                    words.extend([option, value].map(str::to_owned));
                }
            }
        }
        command.args(&words[1..]);
        let ended = command.output().unwrap();
        let code = ended.status.code().unwrap_or(-1);
        let told = String::from_utf8_lossy(&ended.stderr);
        let is_expected = match code {
            // After `costag resume`, only the database names the list: the lines that were read are done.
            2 => resumes && told.contains("give it again to continue"),
            // The database can be damaged: no suggestion helps that.
            0 | 7 => true,
            // The service is not there, and work or a list remains.
            3 | 5 | 6 | 8 | 10 => resumes,
            // The file has several names, also in the copy.
            11 => ended_with == Some(11),
            _ => false,
        };
        assert!(is_expected, "{line} ends with {code}:\n{told}");
        let is_typed = self.words.iter().any(|word| word.contains("resume"));
        assert!(is_typed || !told.contains("nothing to resume"), "{line}: {told}");
    }
}

/// The words of a command line, as a shell reads them. Not every `sh` knows `$'…'`.
pub(crate) fn words_of(line: &str) -> Vec<String> {
    let print = format!("printf '%s\\0' {line}");
    let printed = Command::new("bash").args(["-c", &print]).output().unwrap();
    assert!(printed.status.success(), "no shell reads {line}");
    let text = String::from_utf8(printed.stdout).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}
