//! `costag config init`: writes a configuration file with a profile of a bucket, after a few questions.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::fault::{LocalFault, Usage, chain};
use super::options::global::{GlobalOptions, own_file};
use super::suggest::Suggestion;
use super::{address, terminal};
use crate::config::{self, ConfigFile, Content, Files, PartialOptions, Role, Settings};
use crate::cos::Bucket;
use crate::visible::visible;

/// Marks an error of the file.
const NOT_WRITTEN: LocalFault = LocalFault("no configuration was written: name another file");

/// What the file says besides the defaults. What is not given is asked.
#[derive(Debug, clap::Args)]
pub(super) struct Init {
    /// The file to write; it must not exist [default: ~/.config/costag/costag.toml, which every command reads]
    file: Option<PathBuf>,
    #[expect(clippy::doc_markdown, reason = "it is the help's text")]
    /// The address of the bucket, cos://BUCKET-APPID or cos://BUCKET-APPID/PREFIX
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// The region of the bucket, such as ap-guangzhou
    #[arg(short, long, value_name = "REGION")]
    region: Option<String>,
    /// Scenes that label each image: album, camera, news, web [default: camera, if nobody can be asked]
    #[arg(short, long, alias = "scene", value_name = "SCENE,…")]
    scenes: Option<String>,
}

impl Init {
    /// Asks what is missing, and writes the file.
    ///
    /// # Errors
    /// The file exists, an answer is wrong or missing, or the file cannot be written.
    pub(super) fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let path = self.file.or_else(own_file).ok_or_else(|| {
            Usage("there is no home folder to write the file to: name a file".to_owned())
        })?;
        let shown = visible(&path.display().to_string()).into_owned();
        // This is checked before the questions, so that nobody answers them in vain.
        if fs::symlink_metadata(&path).is_ok() {
            return Err(exists(&shown));
        }
        let address = answer(
            "--address",
            self.address,
            None,
            "Which bucket? Its address, such as cos://photos-1250000000: ",
            |text| address::parse(text).map(drop),
        )?;
        let (bucket, _) = address::parse(&address)?;
        let name = match global.profile() {
            Some(name) if config::is_profile_name(name) => name.to_owned(),
            Some(name) => anyhow::bail!(Usage(format!(
                "--profile {name:?} cannot be the name of a profile: a name has only letters, digits, -, _ and ."
            ))),
            None => short_name(&bucket),
        };
        let region = answer(
            "--region",
            self.region,
            None,
            "In which region is it, such as ap-guangzhou? ",
            |text| match text {
                "" => {
                    Err(Usage("the region is missing: give one such as ap-guangzhou".to_owned())
                        .into())
                }
                text => is_valid("region", text),
            },
        )?;
        let scenes = answer(
            "--scenes",
            self.scenes,
            Some("camera"),
            "Which scenes shall label each image: album, camera, news, web? Each one costs. [camera] ",
            |text| is_valid("scenes", text),
        )?;
        let text = text(&name, &address, &region, &scenes);
        // The text is read as every command will read it, so that what is written is right.
        let content = Content { path: path.clone(), text: text.clone(), role: Role::Named };
        let mut files = Files::parse(&[content])?;
        files.choose(&name)?;
        Settings::resolve(&PartialOptions::default(), |_| None, &files)?;
        write(&path, &text, &shown)?;
        say!("{shown} is written, with the profile {name}");
        let named = if own_file().as_ref() == Some(&path) {
            Vec::new()
        } else {
            vec!["--config".to_owned(), path.to_string_lossy().into_owned()]
        };
        for (what, words) in [
            ("next, to check everything:", &["doctor"][..]),
            ("to see what a run would call:", &["plan"]),
            ("to try it with 20 images:", &["run", "--limit", "20"]),
        ] {
            let words = words.iter().copied().chain([name.as_str()]);
            let words = words.chain(named.iter().map(String::as_str));
            say!("{what}\n{}", Suggestion::plain(words));
        }
        if matches!(global.config_file(), ConfigFile::Named(_)) {
            say!("--config and COSTAG_CONFIG have no effect here");
        }
        Ok(Exit::Complete)
    }
}

fn exists(shown: &str) -> anyhow::Error {
    Usage(format!(
        "{shown} exists, and is not overwritten: change it with an editor, or name another file"
    ))
    .into()
}

/// The value of an option, or the answer to a question, once it passes the check. On a terminal a wrong answer is asked
/// again.
fn answer(
    option: &str,
    given: Option<String>,
    default: Option<&str>,
    question: &str,
    check: impl Fn(&str) -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    if let Some(text) = given {
        check(&text).map_err(|error| error.context(option.to_owned()))?;
        return Ok(text);
    }
    if !terminal::can_ask() {
        return default.map(str::to_owned).ok_or_else(|| {
            Usage(format!("there is no terminal to ask at: give {option}, and --help tells more"))
                .into()
        });
    }
    loop {
        let Some(text) = terminal::line(question)? else {
            anyhow::bail!(Usage(format!(
                "no answer came: nothing was written; {option} gives it too"
            )));
        };
        let text = match (text.as_str(), default) {
            ("", Some(default)) => default.to_owned(),
            _ => text,
        };
        match check(&text) {
            Ok(()) => return Ok(text),
            Err(error) => say!("{}", visible(&chain(error.as_ref()))),
        }
    }
}

/// Whether a setting can have this value.
fn is_valid(key: &'static str, text: &str) -> anyhow::Result<()> {
    let mut options = PartialOptions::default();
    options.text(key, Some(text));
    Settings::resolve(&options, |_| None, &Files::default())?;
    Ok(())
}

/// The name of the bucket without the APPID.
fn short_name(bucket: &Bucket) -> String {
    let name = bucket.as_str();
    name.rsplit_once('-').map_or(name, |(name, _)| name).to_owned()
}

/// The example file, and the profile at its end.
fn text(name: &str, address: &str, region: &str, scenes: &str) -> String {
    let written = |text: &str| config::written(&text.into());
    let scenes: Vec<_> = scenes.split(',').map(|scene| written(scene.trim())).collect();
    // A name with a dot or with other letters has to be quoted.
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let name = if name.chars().all(is_bare) { name.to_owned() } else { written(name) };
    format!(
        "{}\n[profile.{}]\naddress = {}\nregion = {}\nscenes = [{}]\n",
        config::example(),
        name,
        written(address),
        written(region),
        scenes.join(", ")
    )
}

/// Creates the file and the folders above it. A file that exists is never replaced.
fn write(path: &Path, text: &str, shown: &str) -> anyhow::Result<()> {
    let fault = |error: std::io::Error| {
        anyhow::Error::from(error).context(format!("cannot write {shown}")).context(NOT_WRITTEN)
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(fault)?;
    }
    let created = fs::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match created {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(exists(shown)),
        created => created.map_err(fault)?,
    };
    if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
        // Half a file would stand in the way of the next attempt.
        let _ = fs::remove_file(path);
        return Err(fault(error));
    }
    Ok(())
}
