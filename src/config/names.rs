//! What the environment variable and the option of a setting are called.

/// The environment variable of a setting: `COSTAG_` and the key in capitals.
pub fn variable(key: &str) -> String {
    format!("COSTAG_{}", key.to_ascii_uppercase())
}

/// The option of a setting: two dashes and the key in kebab case.
pub fn option(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

/// An option with its value as the words of a command line. A value that begins with a minus sign is joined to the option,
/// since it would be read as another option otherwise. A single minus sign is a value.
pub(super) fn option_words(option: String, value: String) -> Vec<String> {
    if value.len() > 1 && value.starts_with('-') {
        vec![format!("{option}={value}")]
    } else {
        vec![option, value]
    }
}
