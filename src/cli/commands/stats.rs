//! `costag stats`: counts how often labels occur.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::options::global::GlobalOptions;
use crate::cli::rows::{Form, FormOptions, Rows};
use crate::cli::table::Table;
use crate::export::Output;
use crate::store::Reader;
use crate::store::read::Frequency;

/// Count labels, categories or scenes, the most frequent first
///
/// Counts are of distinct images that the bucket has, not of keys: identical files count once. An image that gets the same
/// label from two scenes counts once for each scene.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What one row stands for
    #[arg(long, value_enum, default_value_t = By::Label)]
    by: By,
    /// How many rows to show; 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Ignore labels with less confidence than this, 0 to 100
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=100))]
    min_confidence: i64,
    /// Also count images that are no longer in the bucket; this reads every label
    #[arg(long)]
    include_gone: bool,
    #[command(flatten)]
    form: FormOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    /// A label of a scene, with its categories
    Label,
    /// A pair of categories of a scene
    Category,
    /// A scene
    Scene,
}

/// What a row counts. Fields that the grouping does not use are empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
struct Group {
    scene: String,
    name: String,
    first_category: String,
    second_category: String,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    group: Group,
    labels: u64,
    mean_confidence: f64,
}

const COLUMNS: [&str; 6] =
    ["scene", "name", "first_category", "second_category", "labels", "mean_confidence"];

impl Args {
    /// Prints the counts.
    ///
    /// # Errors
    /// The database is unusable, or stdout cannot be written.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|_| ())?;
        let reader = Reader::open(&settings.db)?;
        let frequencies = if self.include_gone {
            reader.frequencies_with_gone(self.min_confidence)?
        } else {
            reader.frequencies(self.min_confidence)?
        };
        let mut rows = group(self.by, frequencies);
        reader.unchanged()?;
        let all = rows.len();
        if self.top > 0 {
            rows.truncate(self.top);
        }
        let form = self.form.form();
        if form == Form::Text {
            let mut output = Output::open(Path::new("-"))?;
            let text = text(&rows, all);
            output.write_all(text.as_bytes()).map_err(|source| output.error(source))?;
            output.commit()?;
            return Ok(Exit::Complete);
        }
        let mut out = Rows::begin(form, &COLUMNS)?;
        for row in &rows {
            out.row(row, || cells(row), |_| ())?;
        }
        out.end()?;
        Ok(Exit::Complete)
    }
}

fn group(by: By, frequencies: Vec<Frequency>) -> Vec<Row> {
    let mut groups: HashMap<Group, (u64, u64)> = HashMap::new();
    for frequency in frequencies {
        let Frequency { scene, name, first_category, second_category, contents, confidence } =
            frequency;
        let scene = scene.name().to_owned();
        let group = match by {
            By::Label => Group { scene, name, first_category, second_category },
            By::Category => Group { scene, first_category, second_category, ..Group::default() },
            By::Scene => Group { scene, ..Group::default() },
        };
        let sum = groups.entry(group).or_default();
        *sum = (sum.0 + contents, sum.1 + confidence);
    }
    let mut rows: Vec<Row> = groups
        .into_iter()
        .map(|(group, (labels, confidence))| {
            #[expect(clippy::cast_precision_loss, reason = "a mean to show")]
            let mean = confidence as f64 / labels.max(1) as f64;
            Row { group, labels, mean_confidence: (mean * 10.0).round() / 10.0 }
        })
        .collect();
    rows.sort_by(|a, b| b.labels.cmp(&a.labels).then_with(|| a.group.cmp(&b.group)));
    rows
}

fn cells(row: &Row) -> [String; 6] {
    let Group { scene, name, first_category, second_category } = row.group.clone();
    let mean = format!("{:.1}", row.mean_confidence);
    [scene, name, first_category, second_category, row.labels.to_string(), mean]
}

fn text(rows: &[Row], all: usize) -> String {
    if rows.is_empty() {
        return "no labels\n".to_owned();
    }
    // Columns that the grouping does not use are left out.
    let kept: Vec<usize> =
        (0..COLUMNS.len()).filter(|n| rows.iter().any(|row| !cells(row)[*n].is_empty())).collect();
    let header: Vec<&str> = kept
        .iter()
        .map(|n| {
            ["scene", "label", "first category", "second category", "labels", "mean confidence"][*n]
        })
        .collect();
    let mut table = Table::new(&header);
    for row in rows {
        let cells = cells(row);
        table.row(kept.iter().map(|n| cells[*n].as_str()));
    }
    table.numbers(&[kept.len() - 2, kept.len() - 1]);
    let mut text = table.to_string();
    if all > rows.len() {
        let _ = writeln!(text, "and {} more: --top 0 shows all", all - rows.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scene;

    #[test]
    fn labels_categories_and_scenes_are_summed() {
        let frequency = |scene, name: &str, contents, confidence| Frequency {
            scene,
            name: name.to_owned(),
            first_category: "animal".to_owned(),
            second_category: "pet".to_owned(),
            contents,
            confidence,
        };
        let all = || {
            vec![
                frequency(Scene::Web, "cat", 2, 150),
                frequency(Scene::Camera, "dog", 3, 150),
                frequency(Scene::Camera, "cat", 1, 80),
            ]
        };
        let told = |by| {
            group(by, all())
                .into_iter()
                .map(|row| (row.group.scene, row.group.name, row.labels, row.mean_confidence))
                .collect::<Vec<_>>()
        };
        let row = |scene: &str, name: &str, n, mean| (scene.to_owned(), name.to_owned(), n, mean);
        assert_eq!(
            told(By::Label),
            [
                row("camera", "dog", 3, 50.0),
                row("web", "cat", 2, 75.0),
                row("camera", "cat", 1, 80.0)
            ]
        );
        assert_eq!(told(By::Category), [row("camera", "", 4, 57.5), row("web", "", 2, 75.0)]);
        assert_eq!(told(By::Scene), told(By::Category));
    }
}
