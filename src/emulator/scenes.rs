//! The four scenes, and the XML of an answer to `detect-label` ("Image Labels").

use super::xml;
use std::fmt::Write as _;

/// The names of the scenes and of their elements, in the order of an answer.
pub(super) const SCENES: [(&str, &str); 4] = [
    ("album", "AlbumLabels"),
    ("camera", "CameraLabels"),
    ("news", "NewsLabels"),
    ("web", "WebLabels"),
];

/// A set of scenes. Bit `1 << index` is for the scene with that index in [`SCENES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SceneSet(u8);

impl SceneSet {
    /// Reads names such as `web,camera`. Returns `None` if a name is unknown or empty.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut bits = 0;
        for name in text.split(',') {
            let index = SCENES.iter().position(|(scene, _)| *scene == name)?;
            bits |= 1 << index;
        }
        Some(Self(bits))
    }

    /// Returns the scene for a request that names none: camera.
    pub(super) const fn default_scene() -> Self {
        Self(0b0010)
    }

    pub(super) fn indexes(self) -> impl Iterator<Item = usize> {
        (0..SCENES.len()).filter(move |index| self.0 & (1 << index) != 0)
    }

    pub(super) const fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// One label of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) name: &'static str,
    pub(super) first_category: &'static str,
    pub(super) second_category: &'static str,
    /// The confidence, from 1 to 100.
    pub(super) confidence: u8,
}

impl Label {
    /// Appends the element `<Labels>`, with its children in the order of the documented example.
    pub(super) fn render(&self, out: &mut String) {
        out.push_str("\t\t<Labels>\n\t\t\t<Confidence>");
        xml::push_number(out, u64::from(self.confidence));
        out.push_str("</Confidence>\n\t\t\t<FirstCategory>");
        xml::escape_text_into(out, self.first_category);
        out.push_str("</FirstCategory>\n\t\t\t<Name>");
        xml::escape_text_into(out, self.name);
        out.push_str("</Name>\n\t\t\t<SecondCategory>");
        xml::escape_text_into(out, self.second_category);
        out.push_str("</SecondCategory>\n\t\t</Labels>\n");
    }
}

/// The labels of each requested scene, with the index of the scene, in the order of the answer.
pub(super) type Answer = Vec<(usize, Vec<Label>)>;

/// Returns the body of an answer. It has no XML declaration, like the documented example.
pub(super) fn render(answer: &Answer) -> String {
    let labels: usize = answer.iter().map(|(_, labels)| labels.len()).sum();
    let mut out = String::with_capacity(100 + labels * 220);
    out.push_str("<RecognitionResult>\n");
    for (index, labels) in answer {
        let (_, container) = SCENES[*index];
        if labels.is_empty() {
            let _ = writeln!(out, "\t<{container}/>");
            continue;
        }
        out.push_str("\t<");
        out.push_str(container);
        out.push_str(">\n");
        for label in labels {
            label.render(&mut out);
        }
        out.push_str("\t</");
        out.push_str(container);
        out.push_str(">\n");
    }
    out.push_str("</RecognitionResult>\n");
    out
}

/// Returns the body in the legacy form: name and confidence of the labels of the first requested scene.
pub(super) fn render_legacy(answer: &Answer) -> String {
    let mut out = String::from("<RecognitionResult>\n");
    for label in answer.iter().take(1).flat_map(|(_, labels)| labels) {
        let _ = write!(
            out,
            "\t<Labels>\n\t\t<Confidence>{}</Confidence>\n\t\t<Name>",
            label.confidence
        );
        xml::escape_into(&mut out, label.name.as_bytes());
        out.push_str("</Name>\n\t</Labels>\n");
    }
    out.push_str("</RecognitionResult>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_scenes_are_refused_and_answers_are_in_alphabetical_order() {
        let set = SceneSet::parse("web,camera").unwrap();
        assert_eq!(
            set.indexes().map(|index| SCENES[index].1).collect::<Vec<_>>(),
            ["CameraLabels", "WebLabels"]
        );
        assert_eq!(SceneSet::parse(""), None);
        assert_eq!(SceneSet::parse("web,"), None);
        assert_eq!(SceneSet::parse("Web"), None);
        let label =
            Label { name: "a & b", first_category: "c", second_category: "d", confidence: 7 };
        let text = render(&vec![(1, vec![label]), (3, vec![])]);
        assert!(text.starts_with("<RecognitionResult>\n\t<CameraLabels>"));
        assert!(text.contains("<Name>a &amp; b</Name>") && text.contains("<WebLabels/>"));
        assert!(!render_legacy(&vec![(1, vec![label])]).contains("Camera"));
    }
}
