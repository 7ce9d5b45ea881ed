//! How a run stands.

use serde::Serialize;

use super::RunRow;
use crate::store::model::RunState;

/// How a run stands: its state in the database, and whether a process works on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStanding {
    /// A process works on the run.
    Running,
    /// The run has not ended, and no process works on it.
    Killed,
    /// Everything was listed, and nothing is pending.
    Complete,
    /// A signal ended the run.
    Interrupted,
    /// A budget, a window, the breaker or a fatal error ended the run.
    Stopped,
    /// A later run over the same source took its place.
    Superseded,
}

impl RunRow {
    /// How the run stands. `is_at_work` says whether a process works on it, which can be true only of the newest run.
    pub fn standing(&self, is_at_work: bool) -> RunStanding {
        match self.state {
            RunState::Running if is_at_work => RunStanding::Running,
            RunState::Running => RunStanding::Killed,
            RunState::Complete => RunStanding::Complete,
            RunState::Interrupted => RunStanding::Interrupted,
            RunState::Stopped => RunStanding::Stopped,
            RunState::Superseded => RunStanding::Superseded,
        }
    }
}

impl RunStanding {
    /// The standing in the words of a person.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Killed => "killed",
            Self::Complete => "complete",
            Self::Interrupted => "interrupted",
            Self::Stopped => "stopped",
            Self::Superseded => "replaced by a later run",
        }
    }

    /// True if `costag resume` can continue such a run.
    pub fn can_resume(self) -> bool {
        matches!(self, Self::Killed | Self::Interrupted | Self::Stopped)
    }
}
