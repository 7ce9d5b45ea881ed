//! Reads the answer to `detect-label`, `RecognitionResult`, in its current and its legacy form ("Image Labels").
//!
//! An answer without labels is valid. A scene that is absent, closed at once or empty has no labels. A label that
//! cannot be read makes the whole answer unusable: what it means for the others is not known.

use super::error::{self, Error};
use super::text::beginning;
use super::xml::{Document, Leaf, Step};
use crate::label::{Label, Labels};
use crate::scene::{Scene, Scenes};

/// The longest body that is read, in bytes. No answer about one image is longer.
pub const BODY_MAX: usize = 1024 * 1024;

/// The longest name of a label and of a category, in bytes. Longer ones are cut.
pub const NAME_MAX: usize = 1024;

/// The answer of the service about one image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The labels of the requested scenes, in the order of the answer. Ranks ascend within a scene.
    pub labels: Labels,
    /// True if the answer had the legacy form, which has no scenes. Its labels are in one of the requested scenes.
    pub legacy: bool,
    /// The id of the request; `None` if the answer had none.
    pub request_id: Option<String>,
    /// True if the emulator has answered instead of the service.
    pub emulated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Root,
    Scene(Scene),
    Labels,
    Confidence,
    FirstCategory,
    SecondCategory,
    /// `Name`, the name of a label.
    Said,
    Other,
}

fn classify(name: &str) -> Name {
    match name {
        "RecognitionResult" => Name::Root,
        "AlbumLabels" => Name::Scene(Scene::Album),
        "CameraLabels" => Name::Scene(Scene::Camera),
        "NewsLabels" => Name::Scene(Scene::News),
        "WebLabels" => Name::Scene(Scene::Web),
        "Labels" => Name::Labels,
        "Confidence" => Name::Confidence,
        "FirstCategory" => Name::FirstCategory,
        "SecondCategory" => Name::SecondCategory,
        "Name" => Name::Said,
        _ => Name::Other,
    }
}

/// The element whose children are being read.
#[derive(Debug, Clone, Copy)]
enum Place {
    Document,
    Answer,
    Scene(Scene),
    /// A label; `None` if it is in no scene, as in the legacy form.
    Label(Option<Scene>),
}

/// Reads the body of a successful `detect-label` for the scenes `asked`.
///
/// Labels of scenes that were not requested are dropped. Labels in the legacy form are assigned to `camera` if that was
/// requested, or else to the first requested scene. They only count if the answer has no element for a scene.
///
/// # Errors
/// [`Error::Unusable`] (with status 200, no request id) for a body that is not a complete answer, or has a label of a
/// requested scene without a name or without a confidence from 0 to 100;
/// [`Error::Service`] for a body whose root is `Error`.
pub fn parse(body: &[u8], asked: Scenes) -> Result<Answer, Error> {
    if body.len() > BODY_MAX {
        return Err(unusable("longer than 1 MiB"));
    }
    let text = std::str::from_utf8(body).map_err(|_| unusable("not UTF-8"))?;
    let mut parser = Parser::new(text, asked);
    loop {
        match parser.document.next().map_err(|error| unusable(&error.to_string()))? {
            Step::Open(name) => parser.open(name)?,
            Step::Close => parser.close()?,
            Step::End => return parser.finish(),
        }
        parser.plain_labels()?;
    }
}

/// An answer that is being read.
struct Parser<'t> {
    text: &'t str,
    document: Document<'t, Name>,
    /// The scenes that were requested.
    asked: Scenes,
    place: Place,
    /// The element of a label that is being read. Absent between two of them.
    field: Option<Name>,
    /// The depth of an element that is passed over with all that is in it; 0 if none is.
    skipping: usize,
    label: Reading,
    /// The rank of the last label of each scene.
    ranks: [u32; Scene::ALL.len()],
    answer: Answer,
    scenes_seen: bool,
    /// The labels in the legacy form.
    flat_labels: Labels,
    /// What is wrong with one of them. It matters only if the legacy form turns out to be the one that counts.
    flat_fault: Option<&'static str>,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, asked: Scenes) -> Self {
        Self {
            text,
            document: Document::new(text, classify),
            asked,
            place: Place::Document,
            field: None,
            skipping: 0,
            label: Reading::default(),
            ranks: [0; Scene::ALL.len()],
            answer: Answer::default(),
            scenes_seen: false,
            flat_labels: Labels::default(),
            flat_fault: None,
        }
    }

    /// Reads labels as long as they have the form in which the service writes them. The general reader takes the rest.
    fn plain_labels(&mut self) -> Result<(), Error> {
        while let (Place::Label(scene), None, 0) = (self.place, self.field, self.skipping) {
            if let Some(Leaf { name, text, quoted }) = self.document.leaf() {
                self.label.is_given = true;
                match name {
                    Name::Root | Name::Scene(_) | Name::Labels | Name::Other => {}
                    name if quoted => self.label.set(name, &format!("\"{text}\"")),
                    name => self.label.set(name, text),
                }
            } else if self.document.again("Labels") {
                self.end_label(scene)?;
                self.label.clear();
            } else {
                break;
            }
        }
        Ok(())
    }

    /// Begins an element.
    fn open(&mut self, name: Name) -> Result<(), Error> {
        if self.skipping > 0 {
            return Ok(());
        }
        if self.field.is_some() {
            return Err(unusable("an element inside a value"));
        }
        match (self.place, name) {
            (Place::Document, Name::Root) => self.place = Place::Answer,
            (Place::Document, _) => return Err(wrong_root(&self.document, self.text)),
            (Place::Answer, Name::Scene(scene)) => {
                self.scenes_seen = true;
                self.place = Place::Scene(scene);
            }
            (Place::Answer, Name::Labels) => self.place = Place::Label(None),
            (Place::Scene(scene), Name::Labels) => self.place = Place::Label(Some(scene)),
            (Place::Label(_), Name::Root | Name::Scene(_) | Name::Labels | Name::Other) => {
                self.label.is_given = true;
                self.skipping = self.document.depth();
            }
            (Place::Answer | Place::Scene(_), _) => self.skipping = self.document.depth(),
            (Place::Label(_), name) => {
                self.label.is_given = true;
                self.field = Some(name);
            }
        }
        Ok(())
    }

    /// Ends an element.
    fn close(&mut self) -> Result<(), Error> {
        if self.skipping > 0 {
            if self.document.depth() < self.skipping {
                self.skipping = 0;
            }
            return Ok(());
        }
        match (self.field.take(), self.place) {
            (Some(name), _) => self.label.set(name, self.document.text()),
            (None, Place::Label(scene)) => {
                self.end_label(scene)?;
                self.label.clear();
                self.place = scene.map_or(Place::Answer, Place::Scene);
            }
            (None, Place::Scene(_) | Place::Answer) if !is_blank(&self.document) => {
                return Err(unusable("text where labels belong"));
            }
            (None, Place::Scene(_)) => self.place = Place::Answer,
            (None, _) => {}
        }
        Ok(())
    }

    /// Ends a label of this scene, or of none in the legacy form.
    fn end_label(&mut self, scene: Option<Scene>) -> Result<(), Error> {
        if !self.label.is_given && is_blank(&self.document) {
            return Ok(());
        }
        match (scene, self.label.read()) {
            (Some(scene), _) if !self.asked.contains(scene) => {}
            (Some(scene), Ok(read)) => {
                let rank = next_rank(&mut self.ranks, scene);
                self.answer.labels.push(Label { scene, rank, ..read });
            }
            (Some(_), Err(fault)) => return Err(unusable(fault)),
            (None, Ok(read)) => self.flat_labels.push(read),
            (None, Err(fault)) => self.flat_fault = Some(fault),
        }
        Ok(())
    }

    /// Ends the answer. The legacy form counts only if the answer has no scene.
    fn finish(mut self) -> Result<Answer, Error> {
        if self.scenes_seen {
            return Ok(self.answer);
        }
        if let Some(fault) = self.flat_fault {
            return Err(unusable(fault));
        }
        if !self.flat_labels.is_empty() {
            self.answer.legacy = true;
            let first = || self.asked.iter().next().unwrap_or(Scene::Camera);
            let scene = if self.asked.contains(Scene::Camera) { Scene::Camera } else { first() };
            for label in self.flat_labels.iter() {
                let rank = next_rank(&mut self.ranks, scene);
                self.answer.labels.push(Label { scene, rank, ..label });
            }
        }
        Ok(self.answer)
    }
}

/// Whether the element that has just ended held nothing but elements and blanks.
fn is_blank(document: &Document<'_, Name>) -> bool {
    document.text().trim().is_empty()
}

fn unusable(reason: &str) -> Error {
    Error::Unusable { reason: reason.to_owned(), status: 200, request_id: None }
}

fn wrong_root(document: &Document<'_, Name>, text: &str) -> Error {
    if document.root() == "Error"
        && let Some(mut error) = error::parse_xml(text)
    {
        error.status = 200;
        return error.into();
    }
    unusable(&format!("the root is {}, not RecognitionResult", document.root()))
}

fn next_rank(ranks: &mut [u32; Scene::ALL.len()], scene: Scene) -> u32 {
    let rank = &mut ranks[usize::from(scene.id())];
    *rank += 1;
    *rank
}

/// The label that is being read. Its strings are reused for the next label.
#[derive(Debug, Default)]
struct Reading {
    name: String,
    first_category: String,
    second_category: String,
    /// `None` if it is absent or cannot be read.
    confidence: Option<u8>,
    /// Whether the label has any element.
    is_given: bool,
}

impl Reading {
    fn set(&mut self, name: Name, text: &str) {
        match name {
            Name::Confidence => self.confidence = confidence(text),
            Name::FirstCategory => beginning(text, NAME_MAX).clone_into(&mut self.first_category),
            Name::SecondCategory => beginning(text, NAME_MAX).clone_into(&mut self.second_category),
            _ => beginning(text, NAME_MAX).clone_into(&mut self.name),
        }
    }

    /// The label, with a scene and a rank still to be set; or what is wrong with it.
    fn read(&self) -> Result<Label<'_>, &'static str> {
        if self.name.trim().is_empty() {
            return Err("a label without a name");
        }
        let confidence = self.confidence.ok_or("a label without a confidence from 0 to 100")?;
        Ok(Label {
            scene: Scene::Camera,
            rank: 0,
            name: &self.name,
            first_category: &self.first_category,
            second_category: &self.second_category,
            confidence,
        })
    }

    fn clear(&mut self) {
        self.name.clear();
        self.first_category.clear();
        self.second_category.clear();
        self.confidence = None;
        self.is_given = false;
    }
}

/// A whole number, a decimal number (rounded) or a blank (0); `None` for anything else, and outside 0 to 100.
fn confidence(text: &str) -> Option<u8> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0);
    }
    if let Ok(whole) = text.parse::<u8>() {
        return (whole <= 100).then_some(whole);
    }
    let number = text.parse::<f64>().ok()?.round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is from 0 to 100, and NaN is not"
    )]
    (0.0..=100.0).contains(&number).then_some(number as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    macro_rules! sample {
        ($name:literal) => {
            include_str!(concat!("../../tests/data/samples/", $name, ".xml"))
        };
    }

    fn answer(body: &str, asked: &str) -> Answer {
        parse(body.as_bytes(), asked.parse().unwrap()).unwrap()
    }

    fn shown(answer: &Answer) -> Vec<String> {
        let line = |l: Label<'_>| {
            let (first, second) = (l.first_category, l.second_category);
            format!("{} {} {} {first}/{second} {}", l.scene, l.rank, l.name, l.confidence)
        };
        answer.labels.iter().map(line).collect()
    }

    #[test]
    fn every_scene_has_its_labels_in_the_order_of_the_answer() {
        let all = answer(sample!("label-multi-scene"), "web,camera,album,news");
        assert_eq!(
            shown(&all),
            [
                "album 1 猫 动植物/猫科 81",
                "camera 1 猫 动植物/猫科 92",
                "camera 2 沙发 物品/家具家电 40",
                "camera 3 毛毯 物品/家居用品 3",
                "news 1 动物 动植物/其他 66",
                "web 1 宠物 动植物/其他 97",
                "web 2 猫 动植物/猫科 88",
                "web 3 可爱 其他/其他 15",
            ]
        );
        assert!(!all.legacy);
        assert_eq!(shown(&answer(sample!("label-multi-scene"), "news")).len(), 1);
    }

    #[test]
    fn an_answer_with_one_label_is_read_and_entities_are_unescaped() {
        let one = answer(sample!("label-single-label"), "web");
        assert_eq!(shown(&one), ["web 1 Tower Scene/Architecture 55"]);
        let two = answer(sample!("label-single-scene"), "camera");
        assert_eq!(two.labels.iter().nth(1).unwrap().name, "Sea & sky");
    }

    #[test]
    fn a_name_is_cut_at_one_kibibyte() {
        let long = "猫".repeat(1000);
        let body = format!(
            "<RecognitionResult><CameraLabels><Labels><Confidence>1</Confidence><Name>{long}</Name>\
             <FirstCategory>{long}</FirstCategory></Labels></CameraLabels></RecognitionResult>"
        );
        let cut = answer(&body, "camera");
        let label = cut.labels.iter().next().unwrap();
        assert_eq!((label.name, label.first_category), (&long[..1023], &long[..1023]));
    }

    #[test]
    fn an_answer_without_labels_is_valid() {
        for body in [
            sample!("label-empty"),
            sample!("label-empty-root"),
            "<RecognitionResult><CameraLabels><Labels/></CameraLabels></RecognitionResult>",
            "<RecognitionResult>\n<CameraLabels>\n<Labels>\n</Labels>\n</CameraLabels></RecognitionResult>",
            "<RecognitionResult><RequestId>x</RequestId><X><Labels><Name>y</Name></Labels></X>\
             </RecognitionResult>",
        ] {
            assert_eq!(answer(body, "camera"), Answer::default(), "{body}");
        }
        assert_eq!(shown(&answer(sample!("label-mixed-empty"), "album,web")).len(), 1);
    }

    #[test]
    fn labels_of_the_legacy_form_are_of_camera_or_the_first_requested_scene() {
        let flat = answer(sample!("label-legacy"), "web,camera");
        assert!(flat.legacy);
        assert_eq!(shown(&flat)[..2], ["camera 1 玩具 / 88", "camera 2 毛绒玩具 / 87"]);
        let flat = answer(sample!("label-legacy"), "web,news");
        assert!(flat.labels.iter().all(|label| label.scene == Scene::News));
        let both = "<RecognitionResult><Labels><Name>flat</Name></Labels><WebLabels><Labels><Confidence/>\
                    <Name>web</Name></Labels></WebLabels></RecognitionResult>";
        let both = answer(both, "web");
        assert_eq!((shown(&both), both.legacy), (vec!["web 1 web / 0".to_owned()], false));
    }

    #[test]
    fn confidence_is_read_leniently() {
        for (text, number) in
            [("97", 97), (" 5 ", 5), ("", 0), ("96.5", 97), ("1e1", 10), ("100.4", 100), ("-0", 0)]
        {
            assert_eq!(confidence(text), Some(number), "{text}");
        }
        for text in ["-3", "101", "255", "256", "99999999999999999999", "NaN", "inf", "high", "5 %"]
        {
            assert_eq!(confidence(text), None, "{text}");
        }
    }

    /// Holds for both forms of an answer.
    fn assert_unusable(labels: &str) {
        for body in [
            format!("<RecognitionResult><WebLabels>{labels}</WebLabels></RecognitionResult>"),
            format!("<RecognitionResult>{labels}</RecognitionResult>"),
        ] {
            let read = parse(body.as_bytes(), Scene::Web.into());
            assert!(matches!(read, Err(Error::Unusable { .. })), "{body}: {read:?}");
        }
    }

    #[test]
    fn an_answer_with_a_label_that_cannot_be_read_is_unusable() {
        let whole = "<Labels><Confidence>1</Confidence><Name>a</Name></Labels>";
        for label in [
            "<Labels><Confidence>no</Confidence></Labels>",
            "<Labels><Confidence>no</Confidence><Name>a</Name></Labels>",
            "<Labels><Confidence>101</Confidence><Name>a</Name></Labels>",
            "<Labels><Confidence>-1</Confidence><Name>a</Name></Labels>",
            "<Labels><Confidence>NaN</Confidence><Name>a</Name></Labels>",
            "<Labels><Name>a</Name></Labels>",
            "<Labels><Confidence>1</Confidence></Labels>",
            "<Labels><Confidence>1</Confidence><Name> </Name></Labels>",
            "<Labels><Confidence>1</Confidence><Name/></Labels>",
            "<Labels><FirstCategory>a</FirstCategory></Labels>",
            "<Labels><New>1</New></Labels>",
            "<Labels>no labels today</Labels>",
        ] {
            for labels in [label.to_owned(), format!("{whole}{label}"), format!("{label}{whole}")] {
                assert_unusable(&labels);
            }
        }
        assert_unusable("no labels today");
        // Elements that nobody asked for do no harm.
        let body = "<RecognitionResult><Labels><Confidence>no</Confidence></Labels><CameraLabels><Labels>\
                    <Name>a</Name></Labels></CameraLabels><WebLabels><Count>1</Count><Labels><Id>7</Id>\
                    <Confidence>5</Confidence><Name>b</Name></Labels></WebLabels></RecognitionResult>";
        assert_eq!(shown(&answer(body, "web")), ["web 1 b / 5"]);
    }

    #[test]
    fn a_body_that_is_not_a_whole_answer_is_unusable() {
        let asked = Scene::Web.into();
        let whole = sample!("label-multi-scene").trim_end();
        for cut in [0, 1, whole.len() / 3, whole.len() - 1, whole.len() - 20] {
            let error = parse(&whole.as_bytes()[..cut], asked).unwrap_err();
            assert!(matches!(error, Error::Unusable { .. }), "{error:?}");
        }
        for body in ["<a/>", "<RecognitionResult>\u{0}&x;</RecognitionResult>", "{}", " "] {
            let error = parse(body.as_bytes(), asked).unwrap_err();
            assert!(matches!(error, Error::Unusable { .. }), "{body}: {error:?}");
        }
        assert!(parse(&vec![b' '; BODY_MAX + 1], asked).is_err());
        let error = parse(sample!("error-503-slow-down").as_bytes(), asked).unwrap_err();
        assert_eq!((error.code(), error.status()), (Some("SlowDown"), Some(200)));
    }

    /// An answer with these labels in each of two scenes. With `plain`, it has the form in which the service writes it;
    /// without, each element has an attribute, so that the general reader reads it.
    fn written(scenes: &[Vec<Vec<(&str, String)>>; 2], plain: bool) -> String {
        let attribute = if plain { "" } else { " x='1'" };
        let element =
            |name: &str, content: &str| format!("<{name}{attribute}>{content}</{name}>\n");
        let label = |fields: &Vec<(&str, String)>| -> String {
            let fields = fields.iter().map(|(name, text)| element(name, text));
            element("Labels", &fields.collect::<String>())
        };
        let scene = |labels: &Vec<_>| labels.iter().map(label).collect::<String>();
        let scenes = [("WebLabels", scene(&scenes[0])), ("NewsLabels", scene(&scenes[1]))];
        let scenes = scenes.map(|(name, labels)| element(name, &labels));
        element("RecognitionResult", &scenes.concat())
    }

    proptest! {
        #![proptest_config(crate::property::config())]

        #[test]
        fn labels_that_are_read_in_one_step_are_those_that_the_general_reader_reads(
            scenes in prop::array::uniform2(prop::collection::vec(prop::collection::vec(
                (
                    prop::sample::select(vec![
                        "Name", "Confidence", "FirstCategory", "SecondCategory", "Other", "Labels",
                    ]),
                    "([1-9][0-9]?|[a-z猫 ]{0,3}|&quot;[a-z]{0,2}&quot;|a&amp;b|<b>x</b>|\r\n)",
                ),
                0..5,
            ), 0..4)),
        ) {
            for asked in ["web,news", "web"] {
                let read = |plain| {
                    let body = written(&scenes, plain);
                    parse(body.as_bytes(), asked.parse().unwrap()).map_err(|error| error.to_string())
                };
                prop_assert_eq!(read(true), read(false));
            }
        }

        #[test]
        fn reading_never_panics(body: Vec<u8>, cut: prop::sample::Index, flip: u8) {
            let asked = Scene::Web.into();
            let _ = parse(&body, asked);
            let mut near = sample!("label-multi-scene").as_bytes().to_vec();
            let at = cut.index(near.len());
            near[at] = flip;
            let _ = parse(&near, asked);
            let _ = parse(&near[..at], asked);
        }
    }
}
