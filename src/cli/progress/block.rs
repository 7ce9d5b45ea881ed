//! The lines of the block that is drawn while a run goes on.

use super::facts::{Facts, clock, in_words};
use super::layout::Line;
use crate::cli::price::Price;
use crate::config::{Billing, Rate};
use crate::job::Wait;
use crate::numbers::{counted, grouped, money, rate};
use crate::visible::visible;

/// All lines. What the run waits for is the last one, so that the others keep their places.
pub(super) fn lines(facts: &Facts) -> Vec<Line> {
    let mut lines = vec![listed(facts), tagged(facts), pace(facts), cost(facts), left(facts)];
    if let Some(wait) = &facts.now.waits {
        lines.extend(waits(wait));
    }
    lines
}

fn listed(facts: &Facts) -> Line {
    let counts = &facts.now.counts;
    let skipped: u64 = counts.skipped.values().sum();
    Line::new("listed")
        .fact(0, counted(counts.listed, "object"))
        .fact(2, format!("{} wanted", grouped(counts.wanted)))
        .count(3, skipped, "skipped")
        .fact(1, if facts.now.listed { "complete" } else { "still listing" })
}

fn tagged(facts: &Facts) -> Line {
    let counts = &facts.now.counts;
    let settled = counts.done + counts.failed;
    let all = settled + facts.now.pending();
    let line = Line::new("tagged");
    if all == 0 {
        let none = if facts.now.listed { "nothing to call" } else { "nothing to call yet" };
        return line.fact(0, none);
    }
    #[expect(clippy::cast_precision_loss, reason = "a share to show")]
    let share = settled as f64 / all as f64;
    let line =
        line.bar(Some(share)).fact(0, format!("{} of {}", grouped(counts.done), grouped(all)));
    let line = if facts.now.listed { line } else { line.fact(2, "so far") };
    line.count(1, counts.failed, "failed")
}

fn pace(facts: &Facts) -> Line {
    let counts = &facts.now.counts;
    let now = facts.now.per_second.map(|per_second| format!("{per_second:.1}/s"));
    let cap = match (facts.cap, facts.now.pace) {
        (Rate::PerSecond(cap), Some(pace)) => {
            Some(format!("at most {pace:.1}/s of {}/s", rate(cap)))
        }
        (Rate::PerSecond(cap), None) => Some(format!("at most {}/s", rate(cap))),
        (Rate::Auto, Some(pace)) => Some(format!("at most {pace:.1}/s now")),
        _ => None,
    };
    let mut line = Line::new("pace").fact(0, now.unwrap_or_else(|| "no call yet".to_owned()));
    if let Some(cap) = cap {
        line = line.fact(1, cap);
    }
    line.count(4, facts.now.in_flight as u64, "in flight")
        .count(2, counts.throttled, "throttled")
        .count(3, counts.retries, "retries")
}

fn cost(facts: &Facts) -> Line {
    let budget = &facts.budget;
    let calls = facts.now.counts.calls.saturating_sub(facts.before.calls);
    let scenes = facts.now.counts.scenes_asked.saturating_sub(facts.before.scenes_asked);
    let units = budget.billing.units_of(calls, scenes.max(calls));
    let mut line = Line::new("cost").fact(1, format!("{} of billing", counted(units, "unit")));
    if let Some(cost) = Price::of(budget).of_units(units) {
        let most = budget.max_cost.map(|most| format!(" of {}", money(most))).unwrap_or_default();
        line = line.fact(0, format!("about {}{most} {}", money(cost), visible(&budget.currency)));
    }
    if let Some(most) = budget.max_calls {
        let calls = if budget.billing == Billing::Call {
            String::new()
        } else {
            format!("{} ", grouped(calls))
        };
        line = line.fact(2, format!("{calls}of {}", counted(most, "call")));
    }
    if let Some(most) = budget.daily_calls {
        line = line.fact(3, format!("at most {} a day", counted(most, "call")));
    }
    line
}

fn left(facts: &Facts) -> Line {
    let line = Line::new("left");
    let line = match facts.now.left {
        _ if facts.now.listed && facts.now.pending() == 0 => line.fact(0, "nothing"),
        Some(left) => line.fact(0, in_words(left)),
        None => line.fact(0, "not known yet"),
    };
    match &facts.window {
        Some(end) => line.fact(1, format!("calls stop at {end}")),
        None => line,
    }
}

/// Why the run waits, and below it the times.
fn waits(wait: &Wait) -> [Line; 2] {
    let times = Line::new("").fact(1, format!("since {}", clock(wait.since)));
    let times = match wait.gives_up {
        Some(end) => times
            .fact(0, format!("next try at {}", clock(wait.until)))
            .fact(2, format!("gives up at {}", clock(end))),
        None => times.fact(0, format!("until {}", clock(wait.until))),
    };
    [Line::new("waits").fact(0, visible(&wait.what).into_owned()), times]
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::config::Settings;
    use crate::job::{Left, Snapshot};
    use crate::store::model::Counts;

    fn facts() -> Facts {
        let counts = Counts {
            listed: 1_204_331,
            wanted: 1_180_000,
            skipped: [("suffix".to_owned(), 24_331)].into(),
            queued: 1_170_000,
            calls: 12_400,
            scenes_asked: 12_400,
            done: 12_040,
            failed: 2,
            throttled: 120,
            retries: 33,
            ..Counts::default()
        };
        let mut budget = Settings::default().budget;
        budget.price_per_1000_calls = Some(1.5);
        budget.max_cost = Some(50.0);
        budget.currency = "CNY".to_owned();
        Facts {
            now: Snapshot {
                counts,
                in_flight: 64,
                pace: Some(5.0),
                per_second: Some(4.9),
                left: Some(Left { least: 240_000.0, most: Some(310_000.0) }),
                ..Snapshot::default()
            },
            before: Counts::default(),
            cap: Rate::PerSecond(10.0),
            budget,
            window: Some("06:30 (--until 06:30)".to_owned()),
        }
    }

    fn shown(facts: &Facts, columns: usize) -> String {
        let lines: Vec<_> = lines(facts).iter().map(|line| line.fit(columns)).collect();
        lines.join("\n")
    }

    #[test]
    fn the_block_is_laid_out_for_the_width() {
        let mut facts = facts();
        for columns in [40, 80, 200] {
            insta::assert_snapshot!(format!("block_{columns}"), shown(&facts, columns));
        }
        facts.now.waits = Some(Wait {
            what: "the service cannot be reached".to_owned(),
            since: Timestamp::UNIX_EPOCH,
            until: Timestamp::from_second(30).unwrap(),
            gives_up: Timestamp::from_second(900).ok(),
        });
        let told = shown(&facts, 80);
        assert!(told.contains("waits   the service cannot be reached\n"), "{told}");
        for part in ["since ", "next try at ", ":30", "gives up at "] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn a_run_without_calls_shows_neither_a_bar_nor_a_rate_of_zero() {
        let now = Snapshot::default();
        let facts = Facts { now, window: None, ..facts() };
        let told = shown(&facts, 80);
        assert!(!told.contains(['━', '─']) && !told.contains("0.0/s"), "{told}");
        assert!(told.contains("nothing to call yet") && told.contains("no call yet"), "{told}");
    }
}
