//! What the limits of an invocation let through of the calls that are needed: for a plan, and for the question whether
//! so many calls are meant.

use crate::config::Billing;
use crate::store::read::Needed;

/// What a limit leaves; `u64::MAX` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Calls.
    pub calls: u64,
    /// Units of billing.
    pub units: u64,
}

/// What a limit is called, and what it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// As the option is typed.
    pub name: String,
    /// How much.
    pub room: Room,
}

impl Room {
    /// No limit.
    pub const ALL: Self = Self { calls: u64::MAX, units: u64::MAX };

    /// What several limits leave together.
    pub fn of<'a>(limits: impl IntoIterator<Item = &'a Limit>) -> Self {
        limits.into_iter().fold(Self::ALL, |all, Limit { room, .. }| Self {
            calls: all.calls.min(room.calls),
            units: all.units.min(room.units),
        })
    }
}

/// The calls of one invocation, if none has to be repeated.
///
/// The order in which images are called decides how many calls for different numbers of scenes a cost pays for, so
/// there are two numbers of each. They are equal if all calls ask for the same number of scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// The least and the most calls.
    pub calls: (u64, u64),
    /// The least and the most scenes that these calls ask for.
    pub scenes: (u64, u64),
}

impl Share {
    /// What `room` lets through of the calls that are needed.
    pub fn of(needed: &Needed, room: Room, billing: Billing) -> Self {
        let mut groups: Vec<(u64, u64, u64)> = needed
            .by_scenes
            .iter()
            .map(|(scenes, calls)| (u64::from(scenes.len()), billing.units(*scenes), *calls))
            .collect();
        groups.sort_unstable();
        let cheapest_first = fill(groups.iter(), room);
        let dearest_first = fill(groups.iter().rev(), room);
        let ordered = |a: u64, b: u64| (a.min(b), a.max(b));
        Self {
            calls: ordered(cheapest_first.0, dearest_first.0),
            scenes: ordered(cheapest_first.1, dearest_first.1),
        }
    }
}

/// Calls in this order until the first one that does not fit: how many, and for how many scenes.
fn fill<'a>(groups: impl Iterator<Item = &'a (u64, u64, u64)>, room: Room) -> (u64, u64) {
    let (mut calls, mut scenes, mut units) = (0, 0, 0);
    for (asks, costs, count) in groups {
        let affordable = (room.units - units) / (*costs).max(1);
        let made = (*count).min(room.calls - calls).min(affordable);
        calls += made;
        scenes += made * asks;
        units += made * costs;
        if made < *count {
            break;
        }
    }
    (calls, scenes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scenes;

    const ALL: u64 = u64::MAX;

    #[test]
    fn equal_calls_have_one_number_and_others_have_two() {
        let needed = |groups: &[(u8, u64)]| Needed {
            by_scenes: groups.iter().map(|(bits, n)| (Scenes::from_bits(*bits), *n)).collect(),
            given_up: 0,
            ..Needed::default()
        };
        let share = |groups: &[(u8, u64)], calls, units, billing| {
            let share = Share::of(&needed(groups), Room { calls, units }, billing);
            (share.calls, share.scenes)
        };
        let (scene, call) = (Billing::Scene, Billing::Call);
        assert_eq!(share(&[(2, 30)], ALL, ALL, scene), ((30, 30), (30, 30)));
        assert_eq!(share(&[(2, 30)], 7, ALL, scene), ((7, 7), (7, 7)));
        assert_eq!(share(&[(10, 30)], ALL, 11, scene), ((5, 5), (10, 10)));
        assert_eq!(share(&[(10, 30)], ALL, 11, call), ((11, 11), (22, 22)));
        // Ten for one scene, ten for three.
        let mixed = [(2, 10), (11, 10)];
        assert_eq!(share(&mixed, ALL, ALL, scene), ((20, 20), (40, 40)));
        assert_eq!(share(&mixed, 12, ALL, scene), ((12, 12), (16, 32)));
        assert_eq!(share(&mixed, ALL, 14, scene), ((4, 11), (12, 13)));
        assert_eq!(share(&[], 3, 3, scene), ((0, 0), (0, 0)));
    }
}
