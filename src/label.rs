//! The labels of one image, in two allocations.
//!
//! An image has about ten labels with three texts each. They go from the parser of the answer through the job to the writer.
//! With a `String` for each text, this cost more than parsing the answer.

use crate::scene::Scene;

/// One label of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label<'a> {
    /// The model that gave the label.
    pub scene: Scene,
    /// The place in the answer within its scene, from 1.
    pub rank: u32,
    /// The name of the label, never empty; in the language of the service's site.
    pub name: &'a str,
    /// The broad category, possibly empty.
    pub first_category: &'a str,
    /// The narrow category, possibly empty or a filler.
    pub second_category: &'a str,
    /// From 0 to 100; a higher number is more certain.
    pub confidence: u8,
}

/// Labels in the order of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels {
    /// The texts of all labels, one after the other.
    text: String,
    spans: Vec<Span>,
}

/// Where the texts of a label begin, and where each of them ends.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    scene: Scene,
    rank: u32,
    confidence: u8,
    start: usize,
    name: usize,
    first_category: usize,
    second_category: usize,
}

impl Labels {
    /// Adds a label at the end.
    pub fn push(&mut self, label: Label<'_>) {
        let Label { scene, rank, name, first_category, second_category, confidence } = label;
        let start = self.text.len();
        let mut end = |text: &str| {
            self.text.push_str(text);
            self.text.len()
        };
        let (name, first_category) = (end(name), end(first_category));
        let second_category = end(second_category);
        self.spans.push(Span {
            scene,
            rank,
            confidence,
            start,
            name,
            first_category,
            second_category,
        });
    }

    /// The labels, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Label<'_>> {
        self.spans.iter().map(|span| Label {
            scene: span.scene,
            rank: span.rank,
            name: &self.text[span.start..span.name],
            first_category: &self.text[span.name..span.first_category],
            second_category: &self.text[span.first_category..span.second_category],
            confidence: span.confidence,
        })
    }

    /// All names and categories, one after the other.
    pub fn texts(&self) -> &str {
        &self.text
    }

    /// The number of labels.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Removes the labels whose rank is above `rank_max`. Returns how many were removed.
    pub fn cut(&mut self, rank_max: u32) -> usize {
        let before = self.len();
        self.spans.retain(|span| span.rank <= rank_max);
        before - self.len()
    }
}

impl<'a> FromIterator<Label<'a>> for Labels {
    fn from_iter<I: IntoIterator<Item = Label<'a>>>(labels: I) -> Self {
        let mut all = Self::default();
        labels.into_iter().for_each(|label| all.push(label));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_as_they_were_added_and_a_cut_removes_the_last_ranks() {
        let label = |scene, rank, name, second_category| Label {
            scene,
            rank,
            name,
            first_category: "",
            second_category,
            confidence: 7,
        };
        let pushed = [
            label(Scene::Web, 1, "猫", "猫科"),
            label(Scene::Web, 2, "a", ""),
            label(Scene::News, 1, "b", "c"),
        ];
        let mut labels: Labels = pushed.into_iter().collect();
        assert_eq!(labels.iter().collect::<Vec<_>>(), pushed);
        assert_eq!((labels.cut(2), labels.len()), (0, 3));
        assert_eq!(labels.cut(1), 1);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [pushed[0], pushed[2]]);
    }
}
