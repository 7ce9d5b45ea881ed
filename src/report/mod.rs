//! The report: all views in one HTML file that opens offline.
//!
//! The file loads nothing: style, script and pictures are in it, and its Content-Security-Policy allows only those. The
//! policy names style and script by their SHA-256 hashes, so that nothing that slipped into the file could run.

mod picture;

use askama::Template;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

pub use picture::Album;

use crate::view::labels::Labels;
use crate::view::overview::Overview;
use crate::view::runs::Runs;
use picture::Embedded;

const STYLE: &str = include_str!("../view/templates/style.css");
const SCRIPT: &str = include_str!("../view/templates/page.js");

/// What a report is made of.
#[derive(Debug)]
pub struct Report<'a> {
    /// The overview.
    pub overview: &'a Overview,
    /// The labels.
    pub labels: &'a Labels,
    /// The runs.
    pub runs: &'a Runs,
    /// The pictures that the views show.
    pub album: &'a Album,
    /// What the images belong to, such as the name of a bucket; empty if nothing is known.
    pub source: String,
    /// The name of the database.
    pub database: String,
    /// When the report was made.
    pub made: String,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Document<'a> {
    policy: String,
    title: String,
    style: &'a str,
    script: &'a str,
    source: &'a str,
    overview: String,
    labels: String,
    runs: String,
    database: &'a str,
    made: &'a str,
    version: &'a str,
    pictures: &'a [Embedded],
}

impl Report<'_> {
    /// The file.
    ///
    /// # Errors
    /// A template failed, which does not happen.
    pub fn html(&self) -> Result<String, askama::Error> {
        let title = match self.source.as_str() {
            "" => "costag".to_owned(),
            source => format!("{source} · costag"),
        };
        Document {
            policy: policy(),
            title,
            style: STYLE,
            script: SCRIPT,
            source: &self.source,
            overview: self.overview.render()?,
            labels: self.labels.render()?,
            runs: self.runs.render()?,
            database: &self.database,
            made: &self.made,
            version: env!("CARGO_PKG_VERSION"),
            pictures: self.album.pictures(),
        }
        .render()
    }
}

/// What the file may load and run: only its own style, script and pictures.
fn policy() -> String {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; base-uri 'none'; \
         form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

#[cfg(test)]
mod tests;
