//! The names of the settings: in the file, in the environment, as options.

/// Every setting, as it is written in the file, in the order of `config/costag.toml`.
pub const KEYS: [&str; 37] = [
    "db",
    "region",
    "endpoint",
    "scenes",
    "suffixes",
    "include",
    "exclude",
    "min_size",
    "max_size",
    "archive",
    "dedupe",
    "qps",
    "workers",
    "list_qps",
    "list_workers",
    "patience",
    "cooldown",
    "connect_timeout",
    "timeout",
    "ca_file",
    "max_failures",
    "max_calls",
    "max_cost",
    "daily_calls",
    "max_duration",
    "until",
    "limit",
    "sample",
    "confirm_above",
    "price_per_1000_calls",
    "currency",
    "credentials_file",
    "credential_process",
    "cvm_role",
    "metadata_endpoint",
    "log",
    "log_format",
];

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
