//! A figure with a name, such as those below the sentence of a view.

/// A figure.
#[derive(Debug, Clone)]
pub struct Fact {
    /// What it counts.
    pub name: &'static str,
    /// The figure.
    pub value: String,
    /// Where it leads, if anywhere.
    pub href: Option<String>,
    /// What else there is to say.
    pub remark: String,
}
