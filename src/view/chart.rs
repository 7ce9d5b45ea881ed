//! Charts: bars whose places are in percent, so that text keeps its size and no style is needed.

use crate::numbers::grouped;

/// A bar of a chart. Places and lengths are in percent of the chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// The left edge.
    pub x: String,
    /// The width.
    pub width: String,
    /// The upper edge.
    pub y: String,
    /// The height.
    pub height: String,
    /// What the bar stands for, such as a day.
    pub name: String,
    /// Its value as it is shown.
    pub value: String,
    /// Its value as a number.
    pub number: u64,
    /// True if the bar is marked.
    pub on: bool,
}

/// A name below a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    /// Its place in percent.
    pub x: String,
    /// Where its text is anchored: `start`, `middle` or `end`.
    pub anchor: &'static str,
    /// The text.
    pub text: String,
}

/// A chart has room for at least this many bars, so that a single one is not as wide as the page.
const ROOM: usize = 12;

/// Bars side by side. Each has a name, a number, and its number as it is shown.
pub(super) fn bars(values: Vec<(String, u64, String)>) -> Vec<Bar> {
    let highest = values.iter().map(|(_, number, _)| *number).max().unwrap_or(0).max(1);
    let slot = 100.0 / decimal(values.len().max(ROOM) as u64);
    let bars = values.into_iter().enumerate().map(|(place, (name, number, value))| {
        let mut height = decimal(number) * 100.0 / decimal(highest);
        if number > 0 {
            height = height.max(0.6);
        }
        Bar {
            x: percent(decimal(place as u64) * slot + slot * 0.06),
            width: percent(slot * 0.88),
            y: percent(100.0 - height),
            height: percent(height),
            name,
            value,
            number,
            on: false,
        }
    });
    bars.collect()
}

/// A few names below a chart of bars: those of the first, the last, and some between.
pub(super) fn ticks(names: &[String], wanted: usize) -> Vec<Tick> {
    if names.is_empty() {
        return Vec::new();
    }
    let last = names.len() - 1;
    let room = names.len().max(ROOM);
    // The names of a chart that is partly empty stand as far from each other as those of a full one.
    let wanted = (wanted * (2 * last + 1) / (2 * room) + 1).clamp(1, wanted.min(names.len()));
    let places = (0..wanted).map(|tick| if wanted == 1 { 0 } else { tick * last / (wanted - 1) });
    places
        .map(|place| {
            let (x, anchor) = match place {
                0 => (0.0, "start"),
                _ if place + 1 == room => (100.0, "end"),
                _ => ((decimal(place as u64) + 0.5) * 100.0 / decimal(room as u64), "middle"),
            };
            Tick { x: percent(x), anchor, text: names[place].clone() }
        })
        .collect()
}

/// A number of things as the value of a bar.
pub(super) fn counted(name: String, number: u64) -> (String, u64, String) {
    (name, number, grouped(number))
}

fn percent(share: f64) -> String {
    format!("{share:.2}%")
}

#[expect(clippy::cast_precision_loss, reason = "a place in a chart")]
fn decimal(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_bar_fills_the_chart_and_a_small_one_is_seen() {
        let bars = bars(vec![
            counted("a".to_owned(), 1_000_000),
            counted("b".to_owned(), 1),
            counted("c".to_owned(), 0),
        ]);
        let told: Vec<_> = bars.iter().map(|bar| (bar.y.as_str(), bar.height.as_str())).collect();
        assert_eq!(told, [("0.00%", "100.00%"), ("99.40%", "0.60%"), ("100.00%", "0.00%")]);
        assert_eq!(bars[0].value, "1,000,000");
        assert!(super::bars(Vec::new()).is_empty());
    }

    #[test]
    fn ticks_name_both_ends_and_some_between() {
        let names: Vec<String> = (1..=30).map(|day| format!("{day} Nov")).collect();
        let told: Vec<_> =
            ticks(&names, 4).into_iter().map(|tick| (tick.text, tick.anchor)).collect();
        let tick = |text: &str, anchor| (text.to_owned(), anchor);
        let expected = [
            tick("1 Nov", "start"),
            tick("10 Nov", "middle"),
            tick("20 Nov", "middle"),
            tick("30 Nov", "end"),
        ];
        assert_eq!(told, expected);
        assert_eq!([1, 2, 3, 6, 12].map(|bars| ticks(&names[..bars], 5).len()), [1, 1, 2, 3, 5]);
        assert!(ticks(&[], 4).is_empty());
    }
}
