//! In which form progress is shown.

use std::env;
use std::io::{IsTerminal as _, stderr};

use crate::cli::terminal;
use crate::config::{Logging, ProgressForm};

/// The form of progress, with a choice in place of `auto`.
pub(super) fn form(logging: &Logging) -> ProgressForm {
    match logging.progress {
        ProgressForm::Auto if can_draw() => ProgressForm::Bar,
        ProgressForm::Auto => ProgressForm::Plain,
        form => form,
    }
}

/// Whether stderr is a terminal that can move its cursor.
fn can_draw() -> bool {
    let is_dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    stderr().is_terminal() && !is_dumb && !terminal::writes_json()
}
