//! The steps that a sequence is made of, and a reference bucket that lets them be chosen sensibly.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::ReferenceStateMachine;

/// Keys that hold pictures, in three folders.
pub(super) const PICTURES: [&str; 7] =
    ["a/1.jpg", "a/2.jpg", "a/3.png", "b/1.jpg", "b/2.jpg", "b/3.png", "c.jpg"];
/// Keys that hold files which no call can label.
pub(super) const BROKEN: [&str; 2] = ["a/broken.txt", "b/broken.txt"];
/// Texts that stand for the bytes of pictures.
const PICTURE_TEXTS: [&str; 5] = ["moon", "sun", "tree", "river", "house"];
/// Texts that stand for the bytes of broken files.
const BROKEN_TEXTS: [&str; 2] = ["broken moon", "broken sun"];

/// What a run asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenes {
    Camera,
    Web,
    Both,
}

/// Which of the listed keys a run wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    All,
    PngOnly,
    NoFolderB,
}

/// Where the work of a run comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Prefix(&'static str),
    /// Keys in the order of the list; some may be missing in the bucket.
    List(Vec<&'static str>),
}

/// What `run` and `plan` are given, budgets aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) source: Source,
    pub(super) scenes: Scenes,
    pub(super) filter: Filter,
}

/// Which labelled images `retag` puts back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chosen {
    All,
    Prefix(&'static str),
    CameraOnly,
}

/// One step of a sequence.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Put {
        key: &'static str,
        text: &'static str,
    },
    Delete {
        key: &'static str,
    },
    Rename {
        from: &'static str,
        to: &'static str,
    },
    Plan {
        wish: Wish,
    },
    /// `max_calls` ends the run early if more calls are needed.
    Run {
        wish: Wish,
        max_calls: Option<u64>,
    },
    /// A run that is killed once it has made this many calls, at least one.
    Kill {
        wish: Wish,
        calls: u64,
    },
    Resume {
        max_calls: Option<u64>,
    },
    Retag {
        chosen: Chosen,
    },
    Retry,
    /// The details of all runs but the newest ones are removed. This changes nothing that the model knows.
    Prune {
        keep_runs: u64,
    },
    /// A plan, and then the run that it predicted.
    PlanRun {
        wish: Wish,
    },
}

/// The bucket by its keys: the text of each.
pub(super) type Bucket = BTreeMap<&'static str, &'static str>;

/// Generates sequences of steps that fit the bucket.
pub(super) struct Reference;

fn wish() -> impl Strategy<Value = Wish> {
    let prefix = select(vec!["", "", "", "a/", "b/", "c"]).prop_map(Source::Prefix);
    let all: Vec<&str> = PICTURES.iter().chain(&BROKEN).copied().collect();
    let list = proptest::sample::subsequence(all, 1..=6).prop_map(Source::List);
    (
        prop_oneof![5 => prefix, 2 => list],
        select(vec![Scenes::Camera, Scenes::Camera, Scenes::Web, Scenes::Both]),
        select(vec![Filter::All, Filter::All, Filter::PngOnly, Filter::NoFolderB]),
    )
        .prop_map(|(source, scenes, filter)| Wish { source, scenes, filter })
}

/// A key and a text that fits it.
fn content() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop_oneof![
        5 => (select(&PICTURES[..]), select(&PICTURE_TEXTS[..])),
        1 => (select(&BROKEN[..]), select(&BROKEN_TEXTS[..])),
    ]
}

fn rename(bucket: &Bucket) -> BoxedStrategy<Step> {
    let keys: Vec<&str> = bucket.keys().copied().filter(|key| PICTURES.contains(key)).collect();
    let free: Vec<&str> =
        PICTURES.iter().copied().filter(|key| !bucket.contains_key(key)).collect();
    if keys.is_empty() || free.is_empty() {
        return Just(Step::Retry).boxed();
    }
    (select(keys), select(free)).prop_map(|(from, to)| Step::Rename { from, to }).boxed()
}

fn delete(bucket: &Bucket) -> BoxedStrategy<Step> {
    if bucket.len() < 3 {
        return Just(Step::Retry).boxed();
    }
    select(bucket.keys().copied().collect::<Vec<_>>()).prop_map(|key| Step::Delete { key }).boxed()
}

impl ReferenceStateMachine for Reference {
    type State = Bucket;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Bucket> {
        proptest::collection::vec(content(), 5..12)
            .prop_map(|contents| contents.into_iter().collect())
            .boxed()
    }

    fn transitions(bucket: &Bucket) -> BoxedStrategy<Step> {
        let budget = || proptest::option::of(1_u64..4);
        prop_oneof![
            2 => content().prop_map(|(key, text)| Step::Put { key, text }),
            1 => delete(bucket),
            2 => rename(bucket),
            2 => wish().prop_map(|wish| Step::Plan { wish }),
            5 => (wish(), budget()).prop_map(|(wish, max_calls)| Step::Run { wish, max_calls }),
            1 => (wish(), 1_u64..4).prop_map(|(wish, calls)| Step::Kill { wish, calls }),
            3 => budget().prop_map(|max_calls| Step::Resume { max_calls }),
            2 => select(vec![Chosen::All, Chosen::All, Chosen::Prefix("a/"), Chosen::CameraOnly])
                .prop_map(|chosen| Step::Retag { chosen }),
            1 => Just(Step::Retry),
            1 => (1_u64..3).prop_map(|keep_runs| Step::Prune { keep_runs }),
            3 => wish().prop_map(|wish| Step::PlanRun { wish }),
        ]
        .boxed()
    }

    fn preconditions(bucket: &Bucket, step: &Step) -> bool {
        match step {
            Step::Delete { key } => bucket.contains_key(key),
            Step::Rename { from, to } => bucket.contains_key(from) && !bucket.contains_key(to),
            _ => true,
        }
    }

    fn apply(mut bucket: Bucket, step: &Step) -> Bucket {
        change(&mut bucket, step);
        bucket
    }
}

/// What a step does to the bucket itself.
pub(super) fn change(bucket: &mut Bucket, step: &Step) {
    match step {
        Step::Put { key, text } => {
            bucket.insert(key, text);
        }
        Step::Delete { key } => {
            bucket.remove(key);
        }
        Step::Rename { from, to } => {
            if let Some(text) = bucket.remove(from) {
                bucket.insert(to, text);
            }
        }
        _ => {}
    }
}

impl Scenes {
    /// The bits as the database stores them.
    pub(super) fn bits(self) -> u8 {
        match self {
            Self::Camera => 2,
            Self::Web => 8,
            Self::Both => 10,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Web => "web",
            Self::Both => "camera,web",
        }
    }
}

impl Wish {
    /// Whether the source names the key, with or without the filter.
    pub(super) fn names(&self, key: &str) -> bool {
        match &self.source {
            Source::Prefix(prefix) => key.starts_with(prefix),
            Source::List(keys) => keys.contains(&key),
        }
    }

    /// Whether the run wants the key if the bucket has it. Name filters apply to listings only.
    pub(super) fn wants(&self, key: &str) -> bool {
        let passes = match (&self.source, self.filter) {
            (Source::List(_), _) | (_, Filter::All) => true,
            (_, Filter::PngOnly) => key.contains(".png"),
            (_, Filter::NoFolderB) => !key.starts_with("b/"),
        };
        passes && self.names(key)
    }

    /// Whether a run over this source closes an unfinished one over `other`.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (&self.source, &other.source) {
            (Source::Prefix(mine), Source::Prefix(theirs)) => theirs.starts_with(mine),
            (mine, theirs) => mine == theirs,
        }
    }

    /// The arguments after `run` or `plan`; a list is piped into standard input or named by its file.
    pub(super) fn arguments(&self, list_file: &str) -> Vec<String> {
        let bucket = crate::support::BUCKET;
        let mut arguments = match &self.source {
            Source::Prefix(prefix) => vec![format!("{bucket}/{prefix}")],
            Source::List(_) => vec![bucket.to_owned(), "--keys".to_owned(), list_file.to_owned()],
        };
        let suffixes = if self.filter == Filter::PngOnly { "png" } else { "jpg,png,txt" };
        arguments
            .extend(["--scenes", self.scenes.name(), "--suffixes", suffixes].map(str::to_owned));
        if self.filter == Filter::NoFolderB {
            arguments.extend(["--exclude", "b/**"].map(str::to_owned));
        }
        arguments
    }
}
