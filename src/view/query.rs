//! The state of Explore, which is the query of its address.

use std::borrow::Cow;
use std::ops::Range;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan as _};

use super::links::address;
use crate::scene::Scene;
use crate::store::read::{ImageState, Pick};
use crate::time::{UnixMillis, midnight};

/// The most names of labels in an address.
const NAMES: usize = 50;

/// What a person looks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// The conditions, but the days.
    pub pick: Pick,
    /// The first day, or its month or year, as it was written.
    pub date: String,
    /// A part of the names of labels that are offered.
    pub find: String,
    /// The content after which the page begins.
    pub after: Option<i64>,
}

/// Why an address cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// There is no such condition.
    #[error("there is no filter {0:?}")]
    Unknown(String),
    /// A value is not one of those that there are.
    #[error("the filter {name} cannot be {value:?}: {expected}")]
    Value {
        /// The condition.
        name: &'static str,
        /// The value.
        value: String,
        /// What it has to be.
        expected: &'static str,
    },
    /// There are too many labels.
    #[error("an address can have {NAMES} labels at most")]
    Many,
}

/// The words for states in an address.
const STATES: [(&str, ImageState); 4] = [
    ("labelled", ImageState::Labelled),
    ("unlabelled", ImageState::Unlabelled),
    ("failed", ImageState::Failed),
    ("waiting", ImageState::Waiting),
];

/// The word for a state in an address.
pub(super) fn state_word(state: ImageState) -> &'static str {
    STATES.iter().find(|(_, one)| *one == state).map_or("", |(word, _)| word)
}

impl Query {
    /// Reads the names and values of an address. Days are those of UTC, as in the counts.
    ///
    /// # Errors
    /// A name or a value is unknown.
    pub fn of<'a>(
        pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
    ) -> Result<Self, QueryError> {
        let mut query = Self::default();
        for (name, value) in pairs {
            let value = value.into_owned();
            let pick = &mut query.pick;
            let wrong = |name, expected| QueryError::Value { name, value: value.clone(), expected };
            match &*name {
                // A form sends its empty fields too.
                "find" => query.find = value,
                _ if value.is_empty() && name != "category" => {}
                "all" => add(&mut pick.all, value),
                "any" => add(&mut pick.any, value),
                "not" => add(&mut pick.none, value),
                "category" => pick.category = Some(value),
                "scene" => {
                    let scene = value.parse::<Scene>();
                    let scene = scene.map_err(|_| wrong("scene", "album, camera, news or web"))?;
                    pick.scenes = pick.scenes.union([scene].into_iter().collect());
                }
                "confidence" => {
                    let number = value.parse().ok().filter(|number| *number <= 100);
                    pick.min_confidence =
                        number.ok_or_else(|| wrong("confidence", "a number from 0 to 100"))?;
                }
                "prefix" => pick.prefix = value,
                "date" => {
                    let days = days(&value);
                    pick.days = Some(days.ok_or_else(|| {
                        wrong("date", "a year, a month or a day, such as 2026-11-26")
                    })?);
                    query.date = value;
                }
                "state" => {
                    let state = STATES.iter().find(|(word, _)| *word == value);
                    let (_, state) = state
                        .ok_or_else(|| wrong("state", "labelled, unlabelled, failed or waiting"))?;
                    pick.state = Some(*state);
                }
                "after" => {
                    let after = value.parse();
                    query.after = Some(after.map_err(|_| wrong("after", "a number"))?);
                }
                _ => return Err(QueryError::Unknown(name.into_owned())),
            }
        }
        let pick = &query.pick;
        if pick.all.len() + pick.any.len() + pick.none.len() > NAMES {
            return Err(QueryError::Many);
        }
        Ok(query)
    }

    /// The address of this state.
    pub(super) fn address(&self) -> String {
        address(&self.pairs().iter().map(|(name, value)| (*name, &**value)).collect::<Vec<_>>())
    }

    /// The names and values of the address, for a form that keeps them.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let pick = &self.pick;
        let mut pairs: Vec<(&'static str, String)> = Vec::new();
        for (name, labels) in [("all", &pick.all), ("any", &pick.any), ("not", &pick.none)] {
            pairs.extend(labels.iter().map(|label| (name, label.clone())));
        }
        pairs.extend(pick.category.iter().map(|category| ("category", category.clone())));
        pairs.extend(pick.scenes.iter().map(|scene| ("scene", scene.name().to_owned())));
        if pick.min_confidence > 0 {
            pairs.push(("confidence", pick.min_confidence.to_string()));
        }
        if !pick.prefix.is_empty() {
            pairs.push(("prefix", pick.prefix.clone()));
        }
        if !self.date.is_empty() {
            pairs.push(("date", self.date.clone()));
        }
        pairs.extend(pick.state.iter().map(|state| ("state", state_word(*state).to_owned())));
        if !self.find.is_empty() {
            pairs.push(("find", self.find.clone()));
        }
        pairs.extend(self.after.iter().map(|after| ("after", after.to_string())));
        pairs
    }

    /// This state with a change. The change begins at the first page.
    pub(super) fn with(&self, change: impl FnOnce(&mut Pick)) -> Self {
        let mut other = self.clone();
        change(&mut other.pick);
        other.after = None;
        other
    }

    /// True if no condition is given.
    pub(super) fn is_open(&self) -> bool {
        self.pick == Pick::default()
    }
}

fn add(names: &mut Vec<String>, name: String) {
    if !names.contains(&name) {
        names.push(name);
    }
}

/// The span of a year, a month or a day; `None` if the text is none of them.
fn days(text: &str) -> Option<Range<UnixMillis>> {
    let mut parts = text.split('-');
    let year: i16 = parts.next().filter(|year| year.len() == 4)?.parse().ok()?;
    let two = |part: Option<&str>| part.filter(|part| part.len() == 2)?.parse::<i8>().ok();
    let (first, length): (Date, Span) = match text.len() {
        4 => (Date::new(year, 1, 1).ok()?, 1.year()),
        7 => (Date::new(year, two(parts.next())?, 1).ok()?, 1.month()),
        10 => (Date::new(year, two(parts.next())?, two(parts.next())?).ok()?, 1.day()),
        _ => return None,
    };
    let next = first.checked_add(length).unwrap_or(date(9999, 12, 31));
    Some(midnight(first, &TimeZone::UTC)..midnight(next, &TimeZone::UTC))
}

#[cfg(test)]
mod tests {
    use url::form_urlencoded;

    use super::*;

    fn read(address: &str) -> Result<Query, QueryError> {
        let query = address.split_once('?').map_or("", |(_, query)| query);
        Query::of(form_urlencoded::parse(query.as_bytes()))
    }

    #[test]
    fn an_address_is_read_and_written_again() {
        for address in [
            "/explore",
            "/explore?all=cat&all=%E7%8C%AB&any=a%26b&not=x",
            "/explore?category=&scene=camera&scene=web&confidence=70&prefix=2026%2F&date=2026-11&state=failed",
            "/explore?find=su&after=77",
        ] {
            let query = read(address).unwrap();
            assert_eq!(query.address(), address);
        }
        let query = read("/explore?date=2026-11-26&all=a&all=a&state=&prefix=").unwrap();
        assert_eq!(
            query.pick.days,
            Some(UnixMillis(1_795_651_200_000)..UnixMillis(1_795_737_600_000))
        );
        assert_eq!(query.address(), "/explore?all=a&date=2026-11-26");
        assert!(read("/explore").unwrap().is_open() && !query.is_open());
    }

    #[test]
    fn an_address_that_means_nothing_is_told() {
        for (address, told) in [
            ("?colour=red", "there is no filter \"colour\""),
            ("?state=lost", "labelled, unlabelled, failed or waiting"),
            ("?scene=film", "album, camera, news or web"),
            ("?confidence=101", "0 to 100"),
            ("?date=2026-13", "a year, a month or a day"),
            ("?date=26-11-2026", "a year, a month or a day"),
            ("?after=x", "a number"),
        ] {
            let error = read(address).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        let many = (0..51).map(|n| format!("all={n}")).collect::<Vec<_>>().join("&");
        assert_eq!(read(&format!("?{many}")), Err(QueryError::Many));
    }
}
