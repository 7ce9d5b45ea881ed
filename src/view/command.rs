//! Commands that a page shows, to be copied into a shell.

use crate::shell;

/// A command. Its parts are the words that belong together, such as an option and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The parts, quoted for a shell.
    pub parts: Vec<String>,
}

impl Command {
    /// A command of costag, such as `status`.
    pub(super) fn new(name: &str) -> Self {
        Self { parts: vec![format!("costag {name}")] }
    }

    /// Adds a part that needs no quotes.
    pub(super) fn flag(mut self, flag: &str) -> Self {
        self.parts.push(flag.to_owned());
        self
    }

    /// Adds an option with its value.
    pub(super) fn option(mut self, option: &str, value: &str) -> Self {
        self.parts.push(shell::option(option, value));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_for_the_shell() {
        let command = Command::new("find").option("--label", "it's; rm").flag("--json");
        assert_eq!(command.parts, ["costag find", r"--label 'it'\''s; rm'", "--json"]);
        let command = Command::new("find").option("--prefix", "-a/\u{200d}b");
        assert_eq!(command.parts, ["costag find", r"--prefix=$'-a/\342\200\215b'"]);
    }
}
