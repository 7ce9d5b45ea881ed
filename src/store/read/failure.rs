//! What failed and why.

/// A present, wanted object whose content was given up, or a line of a list that ended without a call.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Failure {
    /// The name of the bucket.
    pub bucket: String,
    /// The key, or the URL.
    pub key: String,
    /// The error code of the service, or the program's own; `None` if none is stored.
    pub code: Option<String>,
    /// The HTTP status; `None` if no answer came.
    pub http_status: Option<i64>,
    /// The message of the service; `None` if none is stored.
    pub message: Option<String>,
    /// The request id, for the support of the service; `None` if there was no answer.
    pub request_id: Option<String>,
    /// Attempts in the run that gave the content up.
    pub attempts: i64,
    /// The run that gave the content up; `None` if none is stored.
    pub run_id: Option<i64>,
}

/// How many contents failed with one error code.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FailureCode {
    /// The code; `None` if no answer came.
    pub code: Option<String>,
    /// The HTTP status; `None` if no answer came.
    pub http_status: Option<i64>,
    /// True if the next run tries these contents again by itself.
    pub temporary: bool,
    /// The number of contents.
    pub contents: u64,
}
