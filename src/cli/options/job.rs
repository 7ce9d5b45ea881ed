//! The options of commands that run a job, besides the settings.

/// How a command that runs a job asks, and what it prints at the end.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct JobOptions {
    /// Do not ask before more than --confirm-above units of billing are used; without a terminal nobody is asked
    #[arg(short, long)]
    pub yes: bool,
    /// Print a summary as one line of JSON at the end
    #[arg(long)]
    pub json: bool,
}
