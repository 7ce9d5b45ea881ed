//! What the environment variable and the option of a setting are called.

/// The environment variable of a setting: `COSTAG_` and the key in capitals.
pub fn variable(key: &str) -> String {
    format!("COSTAG_{}", key.to_ascii_uppercase())
}

/// The option of a setting: two dashes and the key in kebab case.
pub fn option(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}
