//! What all views are made of, read once.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::store::read::{LedgerGrouping, LedgerQuery, LedgerSums, RunRow, Survey, SurveyQuery};
use crate::store::{Error, Reader};
use crate::time::{UnixMillis, UnixSeconds, day_of};

/// The most runs that are read. They fill a table, and nobody would read a longer one.
const RUNS: u32 = 1_000;

/// The most parts into which the time of a run is divided.
const PARTS: i64 = 120;

/// A minute, and the shortest part of the time of a run, in milliseconds.
const MINUTE: i64 = 60_000;
const SHORTEST: i64 = 1_000;

/// What is read of a database for its views.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    /// The images and their labels.
    pub survey: Survey,
    /// The last runs, the newest first, without plans.
    pub runs: Vec<RunRow>,
    /// True if a process works on the newest run now.
    pub running: bool,
    /// The sums of all calls.
    pub calls: LedgerSums,
    /// The sums of the calls of each run.
    pub by_run: BTreeMap<i64, LedgerSums>,
    /// The sums of the calls of each day on which there were any.
    pub by_day: BTreeMap<Date, LedgerSums>,
    /// The calls of the last run that made any, over its time.
    pub pace: Option<Pace>,
}

/// The calls of a run over its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// The run.
    pub run_id: i64,
    /// The length of a part in milliseconds.
    pub part_ms: i64,
    /// The beginning of the first part.
    pub from: UnixMillis,
    /// The sums of each part.
    pub parts: Vec<LedgerSums>,
}

impl Readings {
    /// Reads everything. Returns `None` once `continues` returns false.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn read(
        reader: &Reader,
        query: SurveyQuery,
        zone: &TimeZone,
        continues: impl Fn() -> bool,
    ) -> Result<Option<Self>, Error> {
        // Asked before the runs are read: otherwise a run that starts in between would look killed.
        let running = reader.is_running();
        let mut runs = reader.runs(RUNS)?;
        let newest = runs.first().is_some_and(|run| !run.plan);
        runs.retain(|run| !run.plan);
        let Some(survey) = reader.survey(query, &continues)? else { return Ok(None) };
        let mut readings = Self { survey, runs, running: running && newest, ..Self::default() };
        let all = LedgerQuery { grouping: LedgerGrouping::Run, within: None };
        reader.ledger_sums(&all, |run, sums| {
            *readings.by_run.entry(run).or_default() += sums;
            readings.calls += sums;
        })?;
        let by_minute =
            LedgerQuery { grouping: LedgerGrouping::Time { unit_ms: MINUTE }, within: None };
        let mut day: Option<(Date, Range<UnixMillis>)> = None;
        reader.ledger_sums(&by_minute, |minute, sums| {
            let moment = UnixMillis(minute.saturating_mul(MINUTE));
            if !matches!(&day, Some((_, span)) if span.contains(&moment)) {
                day = Some(day_of(moment, zone));
            }
            if let Some((date, _)) = &day {
                *readings.by_day.entry(*date).or_default() += sums;
            }
        })?;
        readings.pace = readings.read_pace(reader)?;
        reader.unchanged()?;
        Ok(continues().then_some(readings))
    }

    fn read_pace(&self, reader: &Reader) -> Result<Option<Pace>, Error> {
        let called = |run: &&RunRow| self.by_run.get(&run.id).is_some_and(|sums| sums.calls > 0);
        let Some(run) = self.runs.iter().find(called) else { return Ok(None) };
        // Only sums are left of the calls of a pruned run.
        if run.pruned {
            return Ok(None);
        }
        let from = run.started_at.to_millis();
        // The second of the end is a part of the run.
        let after = |end: UnixSeconds| end.saturating_add(SignedDuration::from_secs(1)).to_millis();
        let end = run.ended_at.map_or(UnixMillis::MAX, after);
        let mut fine: BTreeMap<i64, LedgerSums> = BTreeMap::new();
        let part_ms = match run.ended_at {
            Some(_) => part_of(end.0.saturating_sub(from.0)),
            None => MINUTE,
        };
        let query = LedgerQuery {
            grouping: LedgerGrouping::Time { unit_ms: part_ms },
            within: Some(from..end),
        };
        reader.ledger_sums(&query, |part, sums| {
            *fine.entry(part).or_default() += sums;
        })?;
        let (Some((first, _)), Some((last, _))) = (fine.first_key_value(), fine.last_key_value())
        else {
            return Ok(None);
        };
        // Where the run has no end, minutes are put together until they are few enough.
        let (first, last) = (*first, *last);
        let count = last.saturating_sub(first).saturating_add(1);
        let together = count.saturating_add(PARTS - 1).div_euclid(PARTS).max(1);
        let parts = count.saturating_add(together - 1).div_euclid(together);
        let mut sums = vec![LedgerSums::default(); usize::try_from(parts).unwrap_or_default()];
        for (part, added) in fine {
            let place = usize::try_from((part - first) / together).unwrap_or_default();
            if let Some(sum) = sums.get_mut(place) {
                *sum += added;
            }
        }
        Ok(Some(Pace {
            run_id: run.id,
            part_ms: part_ms.saturating_mul(together),
            from: UnixMillis(first.saturating_mul(part_ms)),
            parts: sums,
        }))
    }
}

/// A round length of the parts into which a time is divided, in milliseconds.
fn part_of(time_ms: i64) -> i64 {
    const ROUND: [i64; 11] = [1, 2, 5, 10, 30, 60, 120, 300, 900, 1_800, 3_600];
    let wanted = time_ms / PARTS;
    let round = ROUND.into_iter().map(|seconds| seconds * SHORTEST);
    round.into_iter().find(|part| *part >= wanted).unwrap_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_run_is_divided_into_parts_of_a_round_length() {
        assert_eq!([3_300, 600_000, 3_600_000].map(part_of), [1_000, 5_000, 30_000]);
        assert_eq!(part_of(i64::MAX), i64::MAX / PARTS);
    }
}
