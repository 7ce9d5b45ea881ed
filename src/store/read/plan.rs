//! What a run would call, as a plan tells it.

use crate::scene::Scenes;

/// What is left to be called within the scope of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needed {
    /// Contents that need a call, by what it asks for, in the order of the stored bits.
    pub by_scenes: Vec<(Scenes, u64)>,
    /// Contents that failed, and that only new bytes or `costag retry` bring back.
    pub given_up: u64,
}
