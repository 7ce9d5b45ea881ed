//! Everything that a session remembers between turns. Each file has one cache.
//!
//! A cache may hold what the turn under way has written. So every cache is told how the turn ended: after a commit it
//! keeps its content; after a rollback it drops what the turn put into it, or reloads it from the database.

mod held;
mod ledger;
mod numbers;
mod overwritten;
mod reserve;
mod sample;
mod tags;
mod taken;

use super::counting::Counting;
use super::identities::Identities;

pub(super) use held::Held;
pub(super) use ledger::Ledger;
pub(super) use numbers::Numbers;
pub(super) use overwritten::Overwritten;
pub(super) use reserve::Reserve;
pub(super) use sample::Sample;
pub(super) use tags::Tags;
pub(super) use taken::Taken;

/// Every cache of a session.
#[derive(Debug, Default)]
pub(super) struct Caches {
    pub(super) counting: Counting,
    pub(super) held: Held,
    pub(super) identities: Identities,
    pub(super) ledger: Ledger,
    pub(super) numbers: Numbers,
    pub(super) overwritten: Overwritten,
    pub(super) reserve: Reserve,
    pub(super) sample: Sample,
    pub(super) tags: Tags,
    pub(super) taken: Taken,
}

impl Caches {
    /// The turn is committed.
    pub(super) fn commit(&mut self) {
        self.held.commit();
        self.identities.commit();
        self.ledger.commit();
        self.overwritten.commit();
        self.sample.commit();
    }

    /// The turn is rolled back.
    pub(super) fn roll_back(&mut self) {
        self.counting = Counting::default();
        self.held.roll_back();
        self.identities.roll_back();
        self.ledger.roll_back();
        self.numbers = Numbers::default();
        self.overwritten.roll_back();
        self.reserve.clear();
        self.sample.roll_back();
        self.tags.clear();
        self.taken = Taken::default();
    }
}
