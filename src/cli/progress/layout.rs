//! Lays out lines of facts for a width. A line never becomes longer than that: facts are left out, the least important one
//! first, and the last fact is cut if it is still too long.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The columns of the names of lines, with the space behind them.
const NAME: usize = 8;
/// Between two facts.
const BETWEEN: &str = "  ";
/// The shortest bar that is worth showing, and the longest one, in columns.
const BAR: std::ops::RangeInclusive<usize> = 8..=40;

/// A line of the block.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    name: &'static str,
    /// The facts in the order in which they are shown.
    facts: Vec<Fact>,
    /// The share that a bar before the facts shows. Absent if there is no bar.
    share: Option<f64>,
}

/// A fact, and how important it is: of two facts, the one with the larger number is left out first.
#[derive(Debug, Clone, PartialEq)]
struct Fact {
    text: String,
    rank: u8,
}

impl Line {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, facts: Vec::new(), share: None }
    }

    /// Adds a fact.
    #[must_use]
    pub(super) fn fact(mut self, rank: u8, text: impl Into<String>) -> Self {
        self.facts.push(Fact { text: text.into(), rank });
        self
    }

    /// Adds a count, unless it is zero.
    #[must_use]
    pub(super) fn count(self, rank: u8, count: u64, what: &str) -> Self {
        if count == 0 {
            return self;
        }
        self.fact(rank, format!("{} {what}", crate::numbers::grouped(count)))
    }

    /// Shows a bar before the facts.
    #[must_use]
    pub(super) fn bar(mut self, share: Option<f64>) -> Self {
        self.share = share;
        self
    }

    /// The line for this many columns.
    pub(super) fn fit(&self, columns: usize) -> String {
        // The last column stays free: some terminals begin a new line when it is written.
        let room = columns.saturating_sub(1 + NAME);
        let mut facts: Vec<&Fact> = self.facts.iter().collect();
        while length(&facts) > room && facts.len() > 1 {
            let least = facts.iter().map(|fact| fact.rank).max();
            let Some(at) = facts.iter().rposition(|fact| Some(fact.rank) == least) else { break };
            facts.remove(at);
        }
        let texts: Vec<&str> = facts.iter().map(|fact| fact.text.as_str()).collect();
        let told = cut(&texts.join(BETWEEN), room);
        let bar = self.share.and_then(|share| {
            let left = room.saturating_sub(told.width() + BETWEEN.len());
            (left >= *BAR.start()).then(|| format!("{}{BETWEEN}", bar(share, left.min(*BAR.end()))))
        });
        let line = format!("{:<NAME$}{}{told}", self.name, bar.unwrap_or_default());
        cut(line.trim_end(), columns.saturating_sub(1))
    }
}

fn length(facts: &[&Fact]) -> usize {
    let between = BETWEEN.len() * facts.len().saturating_sub(1);
    facts.iter().map(|fact| fact.text.width()).sum::<usize>() + between
}

/// The text, cut to this many columns.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    let begin: String = text.chars().take_while(fits).collect();
    if columns == 0 { String::new() } else { format!("{}…", begin.trim_end()) }
}

/// A bar of this many columns. Only a share of 1 fills it.
fn bar(share: f64, columns: usize) -> String {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a few columns"
    )]
    let full = ((share.clamp(0.0, 1.0) * columns as f64) as usize).min(columns);
    let tip = if full < columns && full > 0 { "╸" } else { "" };
    let rest = columns - full - tip.chars().count();
    format!("{}{tip}{}", "━".repeat(full), "─".repeat(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line::new("pace")
            .fact(0, "9.8/s of 10/s")
            .fact(2, "64 in flight")
            .count(1, 1_200, "throttled")
            .count(3, 0, "retries")
    }

    #[test]
    fn the_least_important_fact_is_left_out_first() {
        assert_eq!(line().fit(80), "pace    9.8/s of 10/s  64 in flight  1,200 throttled");
        assert_eq!(line().fit(45), "pace    9.8/s of 10/s  1,200 throttled");
        assert_eq!(line().fit(30), "pace    9.8/s of 10/s");
        assert_eq!(line().fit(16), "pace    9.8/s…");
    }

    #[test]
    fn no_line_is_as_wide_as_the_terminal() {
        let wide = Line::new("waits").fact(0, "照片".repeat(90)).bar(Some(0.5));
        for columns in 0..200 {
            for line in [wide.clone(), line(), Line::new("tagged").fact(0, "1 of 2").bar(Some(0.5))]
            {
                let shown = line.fit(columns);
                assert!(shown.width() < columns.max(1), "{columns}: {shown}");
            }
        }
    }

    #[test]
    fn a_bar_is_full_only_when_everything_is_done() {
        assert_eq!(bar(0.0, 4), "────");
        assert_eq!(bar(0.5, 4), "━━╸─");
        assert_eq!(bar(0.999, 4), "━━━╸");
        assert_eq!(bar(1.0, 4), "━━━━");
    }
}
