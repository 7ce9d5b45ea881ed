//! The command line: what a person types and what they see. Each file of [`commands`] is one command. The files beside
//! that folder hold what several commands need.
//!
//! Data goes to stdout, everything else to stderr. A command returns an [`Exit`]; [`Exit::of`] gives the exit code of an
//! error.

/// Writes a line to stderr. Unlike `eprintln!`, it does not panic if stderr is closed: a closed stderr must not abort a
/// run.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::cli::terminal::say(format_args!($($text)*))
    };
}

mod address;
mod answer;
mod check;
pub mod commands;
mod completion;
mod connect;
mod execute_job;
pub mod exit;
mod fault;
mod habits;
mod init;
mod links;
mod names;
mod nothing;
mod opened;
pub mod options;
mod outcome;
mod own_files;
mod page;
mod price;
mod progress;
mod put_back;
mod report_file;
mod resume_endpoint;
pub mod rows;
mod signals;
mod suggest;
mod summary;
pub mod table;
mod takes;
mod target;
mod terminal;
#[cfg(test)]
mod tests;
mod trial;
mod zone;

use std::ffi::OsString;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::is_profile_name;
use crate::export::Output;
use crate::visible::without_password;
use commands::{
    backup, changes, compact, config, demo, doctor, emulator, export, find, import, ledger, plan,
    prune, report, resume, retag, retry, run, serve, stats, status, verify,
};
use exit::Exit;
use fault::UnwritableFolder;
use options::global::GlobalOptions;

/// Tag every image of a Tencent COS bucket with Cloud Infinite detect-label
#[derive(Debug, Parser)]
#[command(name = "costag", version, arg_required_else_help = true, after_long_help = Exit::table())]
#[command(after_help = "`costag --help` tells more; `costag help COMMAND` describes a command")]
pub struct Cli {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::Args>),
    Resume(Box<resume::Args>),
    Plan(Box<plan::Args>),
    Doctor(Box<doctor::Args>),
    Demo(demo::Args),
    Emulator(Box<emulator::Args>),
    Status(status::Args),
    Retry(retry::Args),
    Retag(retag::Args),
    Export(export::Args),
    Import(import::Args),
    Find(find::Args),
    Stats(stats::Args),
    Report(report::Args),
    Serve(serve::Args),
    Changes(changes::Args),
    Ledger(ledger::Args),
    Verify(verify::Args),
    Backup(backup::Args),
    Prune(prune::Args),
    Compact(compact::Args),
    Config(config::Args),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, in roff, or write one for each command
    Man {
        /// Write costag.1, costag-run.1 and the pages of the other commands into this folder
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

impl Cli {
    fn execute(self) -> anyhow::Result<Exit> {
        let global = &self.global;
        match self.command {
            Command::Run(args) if args.is_dry_run() => {
                let (target, json) = args.into_plan();
                plan::Args::new(target, json).execute(global)
            }
            Command::Run(args) => args.execute(global),
            Command::Resume(args) => args.execute(global),
            Command::Plan(args) => args.execute(global),
            Command::Doctor(args) => args.execute(global),
            Command::Demo(args) => args.execute(global),
            Command::Emulator(args) => emulator::execute(*args).map(|()| Exit::Complete),
            Command::Status(args) => args.execute(global),
            Command::Retry(args) => args.execute(global),
            Command::Retag(args) => args.execute(global),
            Command::Export(args) => args.execute(global),
            Command::Import(args) => args.execute(global),
            Command::Find(args) => args.execute(global),
            Command::Stats(args) => args.execute(global),
            Command::Report(args) => args.execute(global),
            Command::Serve(args) => args.execute(global),
            Command::Changes(args) => args.execute(global),
            Command::Ledger(args) => args.execute(global),
            Command::Verify(args) => args.execute(global),
            Command::Backup(args) => args.execute(global),
            Command::Prune(args) => args.execute(global),
            Command::Compact(args) => args.execute(global),
            Command::Config(args) => args.execute(global),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(
                    shell,
                    &mut completion::completed(Self::command()),
                    "costag",
                    &mut script,
                );
                print(&script)
            }
            Command::Man { out: Some(folder) } => write_manual(&folder),
            Command::Man { out: None } => {
                let mut page = Vec::new();
                clap_mangen::Man::new(Self::command()).render(&mut page)?;
                print(&page)
            }
        }
    }
}

/// Writes the manual pages of all commands into a folder.
fn write_manual(folder: &Path) -> anyhow::Result<Exit> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .map_err(|source| {
            anyhow::Error::new(source).context(UnwritableFolder(folder.display().to_string()))
        })?;
    say!("the manual pages are in {}", crate::visible::visible(&folder.display().to_string()));
    Ok(Exit::Complete)
}

/// Whether these words, without the name of the program, are a command line of costag.
fn parses(words: &[String]) -> bool {
    let line = std::iter::once("costag").chain(words.iter().map(String::as_str));
    Cli::try_parse_from(line).is_ok()
}

/// Parses the command line. Returns the address that it names too, if it names one.
fn parse(arguments: &[OsString]) -> Result<(Cli, Option<String>), clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    let address = matches
        .subcommand()
        .and_then(|(_, matches)| matches.try_get_one::<String>("address").ok().flatten().cloned());
    Ok((Cli::from_arg_matches(&matches)?, address))
}

/// Says what is wrong with a command line that costag does not understand as it was meant.
fn correct(correction: &habits::Correction) -> ExitCode {
    say!("error: {}", correction.text);
    if let Some(command) = &correction.command {
        say!("{command}");
    }
    Exit::Usage.into()
}

/// Writes data to stdout.
fn print(bytes: &[u8]) -> anyhow::Result<Exit> {
    let mut output = Output::open(Path::new("-"))?;
    output.write_all(bytes).map_err(|source| output.error(source))?;
    output.commit()?;
    Ok(Exit::Complete)
}

/// Whether the arguments or the environment ask for messages in JSON.
fn asks_for_json(arguments: &[OsString]) -> bool {
    const OPTION: &str = "--log-format";
    let texts: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let option = texts.iter().enumerate().find_map(|(at, text)| match text.strip_prefix(OPTION) {
        Some("") => texts.get(at + 1).map(|value| value == "json"),
        Some(rest) => rest.strip_prefix('=').map(|value| value == "json"),
        None => None,
    });
    option.unwrap_or_else(|| {
        std::env::var_os(crate::config::variable("log_format")).is_some_and(|value| value == "json")
    })
}

/// Runs the command that the arguments ask for, and returns its exit code; an error is reported on stderr.
///
/// The first argument is the name of the program.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // The settings may say so too, but they are not read yet.
    terminal::write_json(asks_for_json(&arguments));
    let words: Vec<String> =
        arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let (cli, address) = match parse(&arguments) {
        Ok(parsed) => parsed,
        Err(error) => {
            if let Some(correction) = habits::foreign(&error, &words, &Cli::command(), parses)
                && !check::is_asked(&arguments)
            {
                return correct(&correction);
            }
            // Help and version go to stdout with code 0. A closed pipe is not an error.
            let text = error.render().to_string();
            match without_password(&text) {
                masked if error.use_stderr() && (terminal::writes_json() || masked != text) => {
                    say!("{}", masked.trim_end());
                }
                _ => match error.print() {
                    Err(fault) if fault.kind() != ErrorKind::BrokenPipe => {
                        say!("error: cannot write to standard output: {fault}");
                        return Exit::Local.into();
                    }
                    _ => {}
                },
            }
            return match error.use_stderr() {
                true if check::is_asked(&arguments) => check::Answer::UNKNOWN,
                true => Exit::Usage,
                false => Exit::Complete,
            }
            .into();
        }
    };
    let address = address.filter(|address| !address.starts_with("cos://"));
    let may_be_profile = address.as_deref().is_some_and(is_profile_name);
    let meant = address.and_then(|address| habits::address(&address, &words, parses));
    let (meant, wrong) = if may_be_profile { (meant, None) } else { (None, meant) };
    if let Some(correction) = wrong.or_else(|| habits::comma(&words, parses)) {
        return correct(&correction);
    }
    if let Some(command) = meant.and_then(|correction| correction.command) {
        suggest::mean_address(command);
    }
    if let Err(error) = signals::spare_files() {
        say!(
            "error: this process may not open enough files; raise the limit of open files (`ulimit -n`) to 64 or more: {error}"
        );
        return Exit::Local.into();
    }
    if let Err(error) = signals::survive_file_limit() {
        tracing::debug!(%error, "cannot watch for SIGXFSZ: at the limit of file sizes, the system will end the program");
    }
    match cli.execute() {
        Ok(exit) => exit.into(),
        Err(error) => {
            let exit = Exit::of(&error);
            if exit != Exit::Complete {
                say!("error: {}", fault::chain(error.as_ref()));
                if let Some((text, command)) = suggest::remedy(&error, false) {
                    say!("{text}\n{command}");
                }
            }
            exit.into()
        }
    }
}
