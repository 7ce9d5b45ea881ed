//! The index in the table and in memory together behave like a plain map, whatever is killed and when.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::store::sqlite::migrate;

/// Something that happens to the index.
#[derive(Debug, Clone)]
enum Step {
    /// A turn that looks these identities up and adds those that are new. It ends with a commit, or it fails and is
    /// rolled back. The identity `OLD` of a turn gets an id that was drawn long ago.
    Turn { identities: Vec<u16>, old: Option<u16>, is_listed: bool, commits: bool },
    /// The process is killed, in the middle of a turn with these identities.
    Kill(Vec<u16>),
    /// A run ends.
    End,
}

fn step() -> impl Strategy<Value = Step> {
    let identities = || proptest::collection::vec(0_u16..400, 0..12);
    prop_oneof![
        8 => (identities(), proptest::option::of(0_u16..400), any::<bool>(), 0..6)
            .prop_map(|(identities, old, is_listed, fails)| Step::Turn {
                identities, old, is_listed, commits: fails > 0
            }),
        1 => identities().prop_map(Step::Kill),
        1 => Just(Step::End),
    ]
}

/// Many identities have one hash, or neighbouring ones. They are spread over all numbers, and some are near the end.
fn hash(identity: u16) -> i64 {
    let near = i64::from(identity % 23);
    [near, i64::MAX - near, i64::MIN + near, near << 58][usize::from(identity % 4)]
}

fn hash_of(row: &Row<'_>) -> rusqlite::Result<Option<i64>> {
    let text: String = row.get(1)?;
    Ok(text.parse().ok().map(hash))
}

fn opened() -> Identities {
    Identities { hash_of, ..Identities::default() }
}

struct World {
    connection: Connection,
    identities: Identities,
    /// The next number. Every third one goes to an object without a content, which may get one later.
    next: i64,
    skipped: Vec<i64>,
}

impl World {
    /// Looks an identity up, and adds it under this id if it is new. Returns the id of its content.
    fn look_up(&mut self, identity: u16, id: i64, is_last: bool) -> i64 {
        let connection = &self.connection;
        let text = identity.to_string();
        let read = |id| {
            let sql = "SELECT id FROM content WHERE id = ?1 AND identity = ?2";
            connection.query_row(sql, (id, &text), |row| row.get(0)).optional()
        };
        match self.identities.find(connection, hash(identity), read).unwrap() {
            Found::Content(id) => id,
            Found::Free(hash) => {
                let sql = "INSERT INTO content (id, identity, scenes_wanted, state) VALUES (?1, ?2, 2, 0)";
                connection.execute(sql, (id, &text)).unwrap();
                self.identities.add(connection, hash, id, is_last).unwrap();
                id
            }
        }
    }

    fn look_up_all(&mut self, identities: &[u16], model: &mut BTreeMap<u16, i64>) {
        for identity in identities {
            self.next += 1;
            if self.next % 3 == 0 {
                self.skipped.push(self.next);
                self.next += 1;
            }
            let id = self.look_up(*identity, self.next, true);
            assert_eq!(*model.entry(*identity).or_insert(id), id, "{identity}");
        }
    }

    fn mark(&self) -> Option<i64> {
        self.connection.query_row(&READ_MARK, [], |row| row.get(0)).optional().unwrap()
    }

    /// Every content that is not in the index is behind the mark.
    fn check(&self) {
        let sql = "SELECT min(id) FROM content WHERE id NOT IN (SELECT content_id FROM ident)";
        let first: Option<i64> = self.connection.query_row(sql, [], |row| row.get(0)).unwrap();
        assert!(first.is_none_or(|first| self.mark().is_some_and(|mark| first > mark)));
    }
}

proptest! {
    #![proptest_config(crate::property::with_cases(300))]
    #[test]
    fn identities_are_found_once_whatever_is_killed(steps in proptest::collection::vec(step(), 1..40)) {
        let connection = migrate::model(migrate::known_version()).unwrap();
        connection.pragma_update(None, "foreign_keys", false).unwrap();
        let mut world = World { connection, identities: opened(), next: 0, skipped: Vec::new() };
        let mut model = BTreeMap::new();
        for step in steps {
            let before = model.clone();
            world.connection.execute_batch("BEGIN").unwrap();
            match step {
                Step::Turn { identities, old, is_listed, commits } => {
                    world.look_up_all(&identities, &mut model);
                    if let Some((identity, id)) = old.zip(world.skipped.pop()) {
                        let id = world.look_up(identity, id, false);
                        assert_eq!(*model.entry(identity).or_insert(id), id);
                    }
                    world.identities.end_turn(&world.connection, is_listed).unwrap();
                    if commits {
                        world.connection.execute_batch("COMMIT").unwrap();
                    } else {
                        world.connection.execute_batch("ROLLBACK").unwrap();
                        world.identities.roll_back();
                        model = before;
                    }
                }
                Step::Kill(identities) => {
                    world.look_up_all(&identities, &mut model);
                    world.identities.end_turn(&world.connection, false).unwrap();
                    world.connection.execute_batch("ROLLBACK").unwrap();
                    world.identities = opened();
                    model = before;
                }
                Step::End => {
                    world.identities.merge_all(&world.connection).unwrap();
                    world.connection.execute_batch("COMMIT").unwrap();
                    assert_eq!(world.mark(), None);
                }
            }
            world.check();
        }
        world.identities = opened();
        world.look_up_all(&(0..400).collect::<Vec<_>>(), &mut model);
        let ids: std::collections::BTreeSet<i64> = model.values().copied().collect();
        prop_assert_eq!(ids.len(), 400, "each identity has a content of its own");
    }
}

#[test]
fn a_large_listing_is_merged_while_it_goes_on_and_leaves_nothing_behind() {
    let connection = migrate::model(migrate::known_version()).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    let mut world = World { connection, identities: opened(), next: 0, skipped: Vec::new() };
    let mut model = BTreeMap::new();
    let mut marks = std::collections::BTreeSet::new();
    let mut most_in_memory = 0;
    for identity in 0..400 {
        world.look_up_all(&[identity], &mut model);
        world.identities.end_turn(&world.connection, false).unwrap();
        marks.extend(world.mark());
        if let State::Unmerged(unmerged) = &world.identities.state {
            most_in_memory = most_in_memory.max(unmerged.waiting.len() + unmerged.merging.len());
        }
    }
    assert!(marks.len() > 10, "{marks:?}");
    assert!(most_in_memory <= 2 * MERGE_AT, "{most_in_memory}");
    for _ in 0..2 * MERGE_AT {
        world.identities.end_turn(&world.connection, true).unwrap();
    }
    assert_eq!(world.mark(), None);
    assert!(matches!(world.identities.state, State::Indexed));
    world.check();
}
