//! The forms, dialects and layouts of an export.

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// RFC 4180, UTF-8, with a header; lines end in LF
    Csv,
    /// One JSON object per line
    Jsonl,
}

/// What one row of an export stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// One row per label
    Long,
    /// One row per tagged object and one column per scene, with the labels joined
    Wide,
}

/// For which kind of program CSV is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// For programs that follow RFC 4180: LF line ends, and every text unchanged.
    #[default]
    Plain,
    /// For spreadsheets: a byte order mark, CRLF line ends, and no cell that a spreadsheet executes.
    Excel,
}
