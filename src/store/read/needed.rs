//! What a run would call, as a plan reports it.

use crate::scene::Scenes;

/// What is left to be called within the scope of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needed {
    /// The number of contents that need a call, for each set of scenes that a call asks for, in the order of the
    /// stored bits.
    pub by_scenes: Vec<(Scenes, u64)>,
    /// The number of contents that failed and that only new bytes or `costag retry` bring back.
    pub given_up: u64,
    /// Wanted objects that the service may refuse.
    pub doubtful: Doubtful,
}

/// The numbers of wanted objects that are beyond what the service documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Doubtful {
    /// Objects larger than 3 MB (3 × 1024 × 1024 bytes).
    pub larger: u64,
    /// Objects whose suffix is of neither PNG nor JPEG.
    pub other_formats: u64,
}

impl Needed {
    /// The number of calls, if none has to be repeated.
    pub fn calls(&self) -> u64 {
        self.by_scenes.iter().map(|(_, calls)| calls).sum()
    }

    /// The number of scenes that these calls ask for.
    pub fn scenes(&self) -> u64 {
        self.by_scenes.iter().map(|(scenes, calls)| calls * u64::from(scenes.len())).sum()
    }
}
