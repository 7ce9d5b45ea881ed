//! The settings by name: in the file, in the environment, as options; and which of them a file that is merely
//! found may not set.

/// One setting: its name, and what may decide it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// The key in the file; the variable and the option are named after it.
    pub(super) name: &'static str,
    /// What the setting decides that a file which is merely found in the current folder may not decide, as
    /// the end of a sentence; `None` if any file may set it.
    pub(super) guarded: Option<&'static str>,
}

impl Setting {
    /// A setting that any configuration file may set.
    const fn new(name: &'static str) -> Self {
        Self { name, guarded: None }
    }

    /// A setting that a file found in the current folder may not set.
    const fn guarded(name: &'static str, decides: &'static str) -> Self {
        Self { name, guarded: Some(decides) }
    }
}

const DESTINATION: &str = "where signed requests go";
const CREDENTIALS: &str = "where credentials come from";

/// Every setting, in the order of `config/costag.toml`.
///
/// A setting that starts a program, names a host, or decides whom to trust must be guarded: whoever made the
/// folder would otherwise decide it for everybody who works there.
const SETTINGS: [Setting; 39] = [
    Setting::new("db"),
    Setting::new("region"),
    Setting::guarded("endpoint", DESTINATION),
    Setting::guarded("allow_http", "whether requests may be sent without encryption"),
    Setting::new("scenes"),
    Setting::new("suffixes"),
    Setting::new("include"),
    Setting::new("exclude"),
    Setting::new("min_size"),
    Setting::new("max_size"),
    Setting::new("archive"),
    Setting::new("dedupe"),
    Setting::new("qps"),
    Setting::new("workers"),
    Setting::new("list_qps"),
    Setting::new("list_workers"),
    Setting::new("patience"),
    Setting::new("cooldown"),
    Setting::new("connect_timeout"),
    Setting::new("timeout"),
    Setting::guarded("ca_file", "which certificates are trusted"),
    Setting::new("max_failures"),
    Setting::new("max_calls"),
    Setting::new("max_cost"),
    Setting::new("daily_calls"),
    Setting::new("max_duration"),
    Setting::new("until"),
    Setting::new("limit"),
    Setting::new("sample"),
    Setting::new("confirm_above"),
    Setting::new("price_per_1000_calls"),
    Setting::new("billing"),
    Setting::new("currency"),
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

/// Levenshtein's distance, in bytes: names are short and ASCII.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
