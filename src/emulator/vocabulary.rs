//! Invented labels for computed objects: some thousand names in two languages, chosen by the `ETag` of the content.

use std::sync::LazyLock;

use super::hash;
use super::scenes::{Answer, Label, SceneSet};

/// The first category, the second category and the nouns of a group.
type Group = (&'static str, &'static str, &'static [&'static str]);

const CHINESE: [&str; 40] = [
    "", "白色", "黑色", "红色", "蓝色", "绿色", "黄色", "金色", "银色", "小", "大", "老", "新",
    "古典", "现代", "木质", "金属", "玻璃", "手工", "可爱", "安静", "热闹", "明亮", "昏暗", "夏日",
    "冬日", "春天", "秋天", "夜晚", "清晨", "城市", "乡村", "海边", "山间", "室内", "户外", "节日",
    "复古", "彩色", "抽象",
];

const ENGLISH: [&str; 30] = [
    "", "White", "Black", "Red", "Blue", "Green", "Golden", "Silver", "Small", "Large", "Old",
    "New", "Classic", "Modern", "Wooden", "Metal", "Glass", "Quiet", "Bright", "Dark", "Summer",
    "Winter", "Night", "Morning", "Urban", "Rural", "Coastal", "Indoor", "Outdoor", "Vintage",
];

const GROUPS: [(bool, Group); 12] = [
    (true, ("动植物", "猫科", &["猫", "老虎", "狮子", "豹"])),
    (true, ("动植物", "花卉", &["玫瑰", "荷花", "向日葵", "樱花", "菊花"])),
    (true, ("场景", "自然风光", &["山", "湖泊", "海滩", "森林", "沙漠", "瀑布", "草原", "日落"])),
    (true, ("场景", "建筑", &["塔", "桥", "教堂", "住宅", "街道", "车站"])),
    (true, ("物品", "家具家电", &["沙发", "桌子", "椅子", "灯", "冰箱", "电视"])),
    (true, ("美食", "主食", &["米饭", "面条", "饺子", "面包", "包子"])),
    (true, ("人物", "其他", &["儿童", "人群", "老人", "运动员"])),
    (true, ("交通", "车辆", &["汽车", "自行车", "火车", "公交车", "摩托车"])),
    (
        false,
        (
            "Scene",
            "Natural scenery",
            &["Beach", "Sea & sky", "Mountain", "Forest", "Lake <frozen>"],
        ),
    ),
    (false, ("Animals", "Other", &["Dog", "Cat", "Horse", "Bird, small", "Fish"])),
    (false, ("Objects", "Home", &["Chair", "Table", "Lamp", "\"Retro\" radio", "Bottle", "Book"])),
    (
        false,
        ("Food & drink", "Other", &["Noodles", "Soup", "Coffee", "Tea", "Baker's bread", "Fruit"]),
    ),
];

/// All names of labels.
pub(super) struct Vocabulary {
    terms: Vec<Term>,
}

struct Term {
    name: String,
    first_category: &'static str,
    second_category: &'static str,
}

impl Vocabulary {
    /// Returns the vocabulary, which is the same for every seed.
    pub(super) fn get() -> &'static Self {
        static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(Vocabulary::new);
        &VOCABULARY
    }

    fn new() -> Self {
        let mut terms = Vec::new();
        for (chinese, (first_category, second_category, nouns)) in GROUPS {
            let adjectives: &[&str] = if chinese { &CHINESE } else { &ENGLISH };
            for noun in nouns {
                for adjective in adjectives {
                    let gap = if chinese || adjective.is_empty() { "" } else { " " };
                    let name = format!("{adjective}{gap}{noun}");
                    terms.push(Term { name, first_category, second_category });
                }
            }
        }
        // Names are shuffled, so that the popular ones do not differ only by an adjective.
        terms.sort_by_cached_key(|term| hash::of_bytes(7, term.name.as_bytes()));
        Self { terms }
    }

    /// Returns the labels of the content with this `ETag`: `total` in all requested scenes together, distinct within a
    /// scene, the most certain first. The labels of a scene are the beginning of a fixed list, so a request for fewer
    /// scenes has more of each.
    pub(super) fn answer(&'static self, etag: &str, scenes: SceneSet, total: usize) -> Answer {
        let seed = hash::of_bytes(11, etag.as_bytes());
        let (share, rest) = (total / scenes.len().max(1), total % scenes.len().max(1));
        let wanted = |place| share + usize::from(place < rest);
        scenes
            .indexes()
            .enumerate()
            .map(|(place, scene)| {
                (scene, self.labels(hash::mix(seed, scene as u64), wanted(place)))
            })
            .collect()
    }

    fn labels(&'static self, seed: u64, count: usize) -> Vec<Label> {
        let count = count.min(self.terms.len() / 4);
        let mut chosen: Vec<usize> = Vec::with_capacity(count);
        let mut confidence = 99 - u8::try_from(seed % 20).unwrap_or(0);
        let mut draw = seed;
        let mut labels = Vec::with_capacity(count);
        while labels.len() < count {
            draw = hash::mix(draw, 1);
            let mut index = self.popular(draw);
            while chosen.contains(&index) {
                index = (index + 1) % self.terms.len();
            }
            chosen.push(index);
            let term = &self.terms[index];
            labels.push(Label {
                name: &term.name,
                first_category: term.first_category,
                second_category: term.second_category,
                confidence,
            });
            confidence = confidence.saturating_sub(1 + u8::try_from(draw % 12).unwrap_or(0)).max(1);
        }
        labels
    }

    /// Returns an index by the square of an even draw, so that a few names are frequent and many are rare.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a number in 0.0..1.0 times a few thousand"
    )]
    fn popular(&self, draw: u64) -> usize {
        let even = hash::unit(draw);
        ((even * even * self.terms.len() as f64) as usize).min(self.terms.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_thousands_of_names_and_some_need_escapes() {
        let vocabulary = Vocabulary::get();
        let names: BTreeSet<&str> =
            vocabulary.terms.iter().map(|term| term.name.as_str()).collect();
        assert_eq!(names.len(), vocabulary.terms.len());
        assert!(names.len() > 2000, "{}", names.len());
        for special in ['&', '<', '"', ',', '\''] {
            assert!(names.iter().any(|name| name.contains(special)), "{special}");
        }
    }

    #[test]
    fn labels_are_spread_over_scenes_distinct_and_in_order_of_confidence() {
        let vocabulary = Vocabulary::get();
        let both = SceneSet::parse("web,camera").unwrap();
        let answer = vocabulary.answer("abc", both, 10);
        assert_eq!(answer, vocabulary.answer("abc", both, 10));
        assert_ne!(answer, vocabulary.answer("abd", both, 10));
        for (_, labels) in &answer {
            assert_eq!(labels.len(), 5);
            assert!(labels.is_sorted_by(|a, b| a.confidence >= b.confidence));
            let names: BTreeSet<&str> = labels.iter().map(|label| label.name).collect();
            assert_eq!(names.len(), 5);
        }
        let one = vocabulary.answer("abc", SceneSet::parse("web").unwrap(), 10);
        assert_eq!(one[0].1[..5], answer[1].1[..]);
        assert_eq!(one[0].1.len(), 10);
    }
}
