//! The settings by name: in the file, in the environment, as options; and which of them a file that is merely
//! found may not set.

use crate::text::distance;

/// One setting: its name, and what may decide it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// The key in the file; the variable and the option are named after it.
    pub(super) name: &'static str,
    /// What the setting decides that a file which is merely found in the current folder may not decide, as
    /// the end of a sentence; `None` if any file may set it.
    pub(super) guarded: Option<&'static str>,
    /// Whether a run keeps the option that was typed, for `costag resume`.
    pub(super) kept: Kept,
}

/// What `costag resume` does with an option that was typed when its run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// The option is not kept, or it is kept as part of what the run is over: scenes, filters, how many images.
    No,
    /// It holds again, before the environment and files.
    Value,
    /// It holds again, unless the environment or a file sets a stricter value now.
    Limit,
}

impl Setting {
    /// A setting that any configuration file may set, and that is looked up anew by every command.
    const fn new(name: &'static str) -> Self {
        Self { name, guarded: None, kept: Kept::No }
    }

    /// A setting that a file found in the current folder may not set.
    const fn guarded(name: &'static str, decides: &'static str) -> Self {
        Self { name, guarded: Some(decides), kept: Kept::No }
    }

    /// A run keeps the option that was typed.
    const fn kept(self) -> Self {
        Self { kept: Kept::Value, ..self }
    }

    /// A run keeps the option that was typed, and it never loosens what holds elsewhere.
    const fn limit(self) -> Self {
        Self { kept: Kept::Limit, ..self }
    }
}

const DESTINATION: &str = "where signed requests go";
const CREDENTIALS: &str = "where credentials come from";

/// Every setting, in the order of `config/costag.toml`.
///
/// A setting that starts a program, names a host, or decides whom to trust must be guarded: whoever made the
/// folder would otherwise decide it for everybody who works there. A guarded setting is not kept with a run
/// either, except for the endpoint, which `costag resume` has confirmed.
const SETTINGS: [Setting; 40] = [
    Setting::new("db"),
    Setting::new("region").kept(),
    Setting::guarded("endpoint", DESTINATION).kept(),
    Setting::guarded("allow_http", "whether requests may be sent without encryption"),
    Setting::new("scenes"),
    Setting::new("suffixes"),
    Setting::new("include"),
    Setting::new("exclude"),
    Setting::new("min_size"),
    Setting::new("max_size"),
    Setting::new("archive"),
    Setting::new("dedupe"),
    Setting::new("qps").limit(),
    Setting::new("workers").limit(),
    Setting::new("list_qps").limit(),
    Setting::new("list_workers").limit(),
    Setting::new("patience").kept(),
    Setting::new("cooldown").kept(),
    Setting::new("connect_timeout").kept(),
    Setting::new("timeout").kept(),
    Setting::guarded("ca_file", "which certificates are trusted"),
    Setting::new("max_failures").limit(),
    Setting::new("allow_missing").kept(),
    Setting::new("max_calls").limit(),
    Setting::new("max_cost").limit(),
    Setting::new("daily_calls").limit(),
    Setting::new("max_duration").limit(),
    Setting::new("until").limit(),
    Setting::new("limit"),
    Setting::new("sample"),
    Setting::new("confirm_above").limit(),
    Setting::new("price_per_1000_calls").limit(),
    Setting::new("billing").limit(),
    Setting::new("currency").kept(),
    Setting::guarded("credentials_file", CREDENTIALS),
    Setting::guarded("credential_process", CREDENTIALS),
    Setting::guarded("cvm_role", CREDENTIALS),
    Setting::guarded("metadata_endpoint", CREDENTIALS),
    Setting::new("log"),
    Setting::new("log_format"),
];

/// The names of all settings, in the order of `config/costag.toml`.
pub const KEYS: [&str; SETTINGS.len()] = {
    let mut names = [""; SETTINGS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = SETTINGS[at].name;
        at += 1;
    }
    names
};

/// The names of the settings that a file found in the current folder may not set.
pub fn guarded() -> impl Iterator<Item = &'static str> {
    SETTINGS.into_iter().filter(|setting| setting.guarded.is_some()).map(|setting| setting.name)
}

/// The settings of which a run keeps the option that was typed.
pub(super) fn kept() -> impl Iterator<Item = Setting> {
    SETTINGS.into_iter().filter(|setting| setting.kept != Kept::No)
}

/// The setting of this name.
pub(super) fn setting(name: &str) -> Option<&'static Setting> {
    const ALL: &[Setting] = &SETTINGS;
    ALL.iter().find(|setting| setting.name == name)
}

/// The environment variable of a setting: `COSTAG_` and the key in capitals.
pub fn variable(key: &str) -> String {
    format!("COSTAG_{}", key.to_ascii_uppercase())
}

/// The option of a setting: two dashes and the key in kebab case.
pub fn option(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

/// The setting whose name is the most like `key`, if one is like it at all.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    let key = key.to_ascii_lowercase().replace('-', "_");
    KEYS.into_iter()
        .map(|known| (distance(&key, known), known))
        .min()
        .filter(|(distance, known)| *distance <= 2 && *distance < known.len())
        .map(|(_, known)| known)
}
