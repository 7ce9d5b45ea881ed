//! The four scenes of `detect-label`, and sets of them: the scenes that an image needs, has, or is called for.
//!
//! The database stores their bits and ids. Ids have the alphabetical order of the names, so sorting by id sorts by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One model of `detect-label` (API page "Image Labels", parameter `scenes`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Scene {
    /// Phone albums and cloud drives.
    Album = 0,
    /// Photos of phone cameras. The service uses this scene if a request names none.
    Camera = 1,
    /// News, information, broadcasting.
    News = 2,
    /// Pictures of the web.
    Web = 3,
}

impl Scene {
    /// Every scene, in the order of their names.
    pub const ALL: [Self; 4] = [Self::Album, Self::Camera, Self::News, Self::Web];

    /// The name on the wire, in options and in exports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Album => "album",
            Self::Camera => "camera",
            Self::News => "news",
            Self::Web => "web",
        }
    }

    /// The number stored in `label.scene`: 0 to 3, in the order of the names.
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The scene with this stored number.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text is not a list of scenes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No scene has this name.
    #[error("unknown scene {0:?}: the scenes are album, camera, news and web, separated by commas")]
    Unknown(String),
    /// There is nothing between two commas, or nothing at all.
    #[error(
        "the name of a scene is missing: give one or more of album, camera, news and web, separated by commas"
    )]
    Empty,
}

impl FromStr for Scene {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.trim() {
            "" => Err(ParseError::Empty),
            name => Self::ALL
                .into_iter()
                .find(|scene| scene.name() == name)
                .ok_or_else(|| ParseError::Unknown(name.to_owned())),
        }
    }
}

/// A set of scenes: bit `1 << id` for each.
///
/// ```
/// use costag::scene::{Scene, Scenes};
///
/// let wanted: Scenes = "web,camera".parse()?;
/// let done = Scenes::from(Scene::Camera);
/// assert_eq!(wanted.without(done).to_string(), "web"); // what is still to be called
/// # Ok::<(), costag::scene::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scenes(u8);

impl Scenes {
    /// No scene.
    pub const NONE: Self = Self(0);

    /// The set with these stored bits; bits that no scene has are dropped.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0b1111)
    }

    /// The bits as stored: album 1, camera 2, news 4, web 8.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether no scene is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many scenes are in the set, 0 to 4.
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether `scene` is in the set.
    pub const fn contains(self, scene: Scene) -> bool {
        self.0 & (1 << scene.id()) != 0
    }

    /// The scenes of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The scenes of this set that `other` lacks.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The scenes of the set, in the order of their names.
    pub fn iter(self) -> impl Iterator<Item = Scene> {
        Scene::ALL.into_iter().filter(move |scene| self.contains(*scene))
    }
}

impl From<Scene> for Scenes {
    fn from(scene: Scene) -> Self {
        Self(1 << scene.id())
    }
}

impl FromIterator<Scene> for Scenes {
    fn from_iter<I: IntoIterator<Item = Scene>>(scenes: I) -> Self {
        scenes.into_iter().fold(Self::NONE, |set, scene| set.union(scene.into()))
    }
}

/// Names with commas between, in alphabetical order: the form of the wire and of `--scenes`.
impl fmt::Display for Scenes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scene) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{scene}")?;
        }
        Ok(())
    }
}

impl FromStr for Scenes {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.split(',').map(Scene::from_str).collect()
    }
}

impl TryFrom<String> for Scenes {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Scenes> for String {
    fn from(scenes: Scenes) -> Self {
        scenes.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_set_agree() {
        let scenes: Scenes = "web, camera".parse().unwrap();
        assert_eq!(scenes.to_string(), "camera,web");
        assert_eq!(scenes.bits(), 0b1010);
        assert_eq!(scenes.without(Scene::Web.into()), Scene::Camera.into());
    }

    #[test]
    fn empty_and_unknown_scenes_are_refused() {
        assert_eq!("".parse::<Scenes>(), Err(ParseError::Empty));
        assert_eq!("web,".parse::<Scenes>(), Err(ParseError::Empty));
        assert_eq!("Web".parse::<Scenes>(), Err(ParseError::Unknown("Web".to_owned())));
    }

    #[test]
    fn ids_sort_as_names_do() {
        let mut names = Scene::ALL.map(Scene::name);
        names.sort_unstable();
        assert_eq!(names, Scene::ALL.map(Scene::name));
    }
}
