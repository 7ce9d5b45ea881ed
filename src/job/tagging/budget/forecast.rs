//! Estimates how many of the needed calls the limits of an invocation allow. A plan shows the estimate, and the gate asks
//! for confirmation with it.

use crate::config::Billing;
use crate::store::read::Needed;

/// What a limit allows. `u64::MAX` means that there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The number of calls.
    pub calls: u64,
    /// The number of billing units.
    pub units: u64,
}

/// A limit, and how much it still allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The option that sets the limit, as it is typed.
    pub name: String,
    /// What it allows.
    pub room: Room,
}

impl Room {
    /// No limit at all.
    pub const ALL: Self = Self { calls: u64::MAX, units: u64::MAX };

    /// What several limits allow together.
    pub fn of<'a>(limits: impl IntoIterator<Item = &'a Limit>) -> Self {
        limits.into_iter().fold(Self::ALL, |all, Limit { room, .. }| Self {
            calls: all.calls.min(room.calls),
            units: all.units.min(room.units),
        })
    }
}

/// The calls that one invocation makes, if none has to be repeated.
///
/// Calls for different numbers of scenes have different costs, so a limited cost pays for more or fewer calls, depending on
/// their order. That is why each number is a minimum and a maximum. They are equal if all calls ask for the same number of
/// scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// The minimum and the maximum number of calls.
    pub calls: (u64, u64),
    /// The minimum and the maximum number of scenes that these calls ask for.
    pub scenes: (u64, u64),
}

impl Share {
    /// Computes how many of the needed calls `room` allows.
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

/// Makes calls in this order until one does not fit. Returns the number of calls, and of the scenes that they ask for.
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
    fn calls_of_equal_cost_have_one_number_and_others_have_a_minimum_and_a_maximum() {
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
