//! Checks that imports go one way: between the rooms of the crate, and among the files of a room.
//!
//! A path such as `crate::cos::Bucket` or `super::exit::Exit`, in a `use` line or anywhere in the code, is an arrow from the
//! file in which it is written to the file that declares the name. Re-exports are followed. Tests may import anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

/// The rooms (folders) and single files of the crate, and what each of them may import.
const ARROWS: [(&str, &[&str]); 27] = [
    (
        "cli",
        &[
            "config",
            "job",
            "cos",
            "store",
            "export",
            "pictures",
            "report",
            "serve",
            "view",
            "emulator",
            "telemetry",
            "aliases",
            "glob",
            "import",
            "label",
            "numbers",
            "object",
            "scene",
            "shell",
            "time",
            "visible",
            "zone",
            "system",
        ],
    ),
    ("report", &["pictures", "view"]),
    ("serve", &["pictures", "view", "store", "export", "visible"]),
    // A view knows nothing of COS: whoever calls it says where a picture is.
    ("view", &["aliases", "store", "numbers", "scene", "shell", "time", "visible"]),
    (
        "job",
        &[
            "config", "cos", "store", "glob", "numbers", "object", "scene", "text", "time", "zone",
            "system",
        ],
    ),
    ("export", &["store", "label", "object", "part", "scene", "time", "visible", "system"]),
    ("cos", &["label", "object", "scene", "text", "time", "visible", "system"]),
    ("store", &["aliases", "label", "object", "part", "scene", "time", "system"]),
    // The emulator shares no code with the client: an error in the signature cannot agree with itself.
    ("emulator", &[]),
    ("telemetry", &["config", "system"]),
    ("config", &["glob", "scene", "text", "visible", "system"]),
    ("aliases", &["text"]),
    ("glob", &[]),
    ("import", &["label", "object", "scene", "time"]),
    ("label", &["scene"]),
    ("numbers", &[]),
    ("object", &[]),
    ("part", &["system"]),
    ("pictures", &["system"]),
    ("scene", &[]),
    ("shell", &["visible"]),
    ("system", &[]),
    ("text", &[]),
    ("time", &[]),
    ("visible", &[]),
    ("zone", &[]),
    // The fuzz targets call functions of several rooms.
    ("fuzz", &["config", "cos", "import", "job", "scene", "text"]),
];

/// The module of a file: its names from the root of the crate. The root itself is empty.
type Module = Vec<String>;

#[derive(Default)]
struct Crate {
    /// The text of each module, without comments and tests.
    texts: BTreeMap<Module, String>,
    /// The names that each module re-exports, and their absolute paths.
    exports: BTreeMap<Module, BTreeMap<String, Vec<String>>>,
}

impl Crate {
    fn read() -> Self {
        let mut all = Self::default();
        let mut tests = BTreeSet::new();
        all.read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut tests);
        all.texts.retain(|module, _| !(0..=module.len()).any(|end| tests.contains(&module[..end])));
        for (module, text) in &all.texts {
            let exports = all.exports.entry(module.clone()).or_default();
            for (statement, public) in use_statements(text) {
                for (path, name) in expand(&statement) {
                    if public && let Some(path) = all_absolute(&all.texts, module, &path) {
                        exports.insert(name, path);
                    }
                }
            }
        }
        all
    }

    fn read_folder(&mut self, folder: &Path, module: &[String], tests: &mut BTreeSet<Module>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let child = [module, std::slice::from_ref(&stem)].concat();
            if path.is_dir() {
                self.read_folder(&path, &child, tests);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let is_own = stem == "mod" || (module.is_empty() && stem == "lib");
                let child = if is_own { module.to_vec() } else { child };
                let text = fs::read_to_string(&path).unwrap();
                let (code, declared) = without_tests(&text);
                tests.extend(declared.into_iter().map(|name| [&child[..], &[name]].concat()));
                self.texts.insert(child, code);
            }
        }
    }

    /// The file that declares what an absolute path names.
    fn declares(&self, path: &[String]) -> Module {
        let mut module = Module::new();
        for (place, name) in path.iter().enumerate() {
            let child = [&module[..], std::slice::from_ref(name)].concat();
            if self.texts.contains_key(&child) {
                module = child;
                continue;
            }
            return match self.exports.get(&module).and_then(|exports| exports.get(name)) {
                Some(target) if target[..] != path[..] => {
                    self.declares(&[&target[..], &path[place + 1..]].concat())
                }
                _ => module,
            };
        }
        module
    }

    /// The files that a file imports, each with one of the paths that import it.
    fn imports(&self, module: &Module) -> BTreeMap<Module, String> {
        let mut found = BTreeMap::new();
        let mut add = |path: &[String]| {
            if let Some(absolute) = all_absolute(&self.texts, module, path) {
                let target = self.declares(&absolute);
                if target != *module {
                    found.entry(target).or_insert_with(|| path.join("::"));
                }
            }
        };
        let text = &self.texts[module];
        for (statement, public) in use_statements(text) {
            // A re-export counts as an import of the file that uses it.
            if !public {
                for (path, _) in expand(&statement) {
                    add(&path);
                }
            }
        }
        for path in inline_paths(text) {
            add(&path);
        }
        found
    }
}

/// A path from the root of the crate, or `None` if the path is into another crate.
fn all_absolute(
    texts: &BTreeMap<Module, String>,
    module: &Module,
    path: &[String],
) -> Option<Vec<String>> {
    let mut base = module.clone();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => {
            base.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|name| name == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        child if texts.contains_key(&[&module[..], &[child.to_owned()]].concat()) => {}
        _ => return None,
    }
    Some([&base, rest].concat())
}

/// The code without comments and without the tests at its end, and the names of modules that exist only in tests.
fn without_tests(text: &str) -> (String, Vec<String>) {
    let (mut code, mut declared) = (String::new(), Vec::new());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        if trimmed == "#[cfg(test)]"
            && let Some(next) = lines.peek()
            && let Some((_, module)) = next.split_once("mod ")
        {
            match module.strip_suffix(';') {
                Some(name) => {
                    declared.push(name.to_owned());
                    lines.next();
                    continue;
                }
                None => break,
            }
        }
        if !trimmed.starts_with("//") {
            code.push_str(line.split(" // ").next().unwrap_or_default());
            code.push('\n');
        }
    }
    (code, declared)
}

/// The text between `use` and `;` of each statement, and whether the statement is a re-export.
fn use_statements(text: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((visibility, rest)) = line.trim().split_once("use ") else { continue };
        // A re-export within an inline module is that module's, which has no file.
        let is_inner = line.starts_with(' ') && !visibility.is_empty();
        if is_inner || !(visibility.is_empty() || visibility.starts_with("pub")) {
            continue;
        }
        let mut statement = rest.to_owned();
        while !statement.ends_with(';') {
            let Some(line) = lines.next() else { break };
            statement.push_str(line.trim());
        }
        found.push((statement.trim_end_matches(';').to_owned(), !visibility.is_empty()));
    }
    found
}

/// The paths of a `use` statement, each with the name that it is imported under.
fn expand(statement: &str) -> Vec<(Vec<String>, String)> {
    let Some((prefix, list)) = statement.split_once('{') else {
        let (path, renamed) = statement.split_once(" as ").unwrap_or((statement, ""));
        let mut path: Vec<String> = path.trim().split("::").map(str::to_owned).collect();
        if path.last().is_some_and(|last| last == "self" || last == "*") {
            path.pop();
        }
        let last = path.last().cloned().unwrap_or_default();
        let name = if renamed.is_empty() { last } else { renamed.to_owned() };
        return vec![(path, name)];
    };
    let list = list.trim_end().strip_suffix('}').unwrap_or(list);
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match parts.last_mut() {
            _ if c == ',' && depth == 0 => parts.push(String::new()),
            Some(part) => part.push(c),
            None => {}
        }
    }
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts.flat_map(|part| expand(&format!("{prefix}{part}"))).collect()
}

/// All paths in the code outside of `use` statements.
fn inline_paths(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut in_use = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        in_use |= trimmed.starts_with("use ") || trimmed.starts_with("pub use ");
        if !in_use {
            let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':');
            // A visibility such as `pub(in crate::job)` names a module, but imports nothing.
            let code = match line.split_once("pub(in ") {
                Some((_, rest)) => rest.split_once(')').map_or(rest, |(_, code)| code),
                None => line,
            };
            let paths = code.split(word).map(|path| path.trim_matches(':'));
            found.extend(
                paths
                    .filter(|path| path.contains("::"))
                    .map(|path| path.split("::").map(str::to_owned).collect()),
            );
        }
        in_use &= !line.ends_with(';');
    }
    found
}

/// The shortest chain of imports from a file back to itself, if there is one.
fn circle(arrows: &BTreeMap<Module, BTreeSet<Module>>, start: &Module) -> Option<Vec<Module>> {
    let mut ways = VecDeque::from([vec![start.clone()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in arrows.get(way.last()?).into_iter().flatten() {
            let longer = [&way[..], std::slice::from_ref(next)].concat();
            if next == start {
                return Some(longer);
            }
            if seen.insert(next.clone()) {
                ways.push_back(longer);
            }
        }
    }
    None
}

#[test]
fn a_room_imports_only_the_rooms_below_it() {
    let all = Crate::read();
    assert!(all.texts.len() > 100, "only {} files were found", all.texts.len());
    let mut wrong = Vec::new();
    for module in all.texts.keys().filter(|module| !module.is_empty() && module[0] != "main") {
        let (room, allowed) = ARROWS
            .iter()
            .find(|(room, _)| module[0] == *room)
            .unwrap_or_else(|| panic!("say in ARROWS what {} may import", module[0]));
        for (target, path) in all.imports(module) {
            let target = target.first().map_or("the root", String::as_str);
            if target != *room && !allowed.contains(&target) {
                wrong.push(format!("{} imports {target}: {path}", module.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn commands_import_what_is_shared_and_never_each_other() {
    let all = Crate::read();
    let command = |module: &Module| {
        (module.len() > 2 && module[0] == "cli" && module[1] == "commands")
            .then(|| module[2].clone())
    };
    let mut wrong = Vec::new();
    let mut commands = BTreeSet::new();
    for module in all.texts.keys().filter(|module| module[..] != ["cli"]) {
        commands.extend(command(module));
        for (target, path) in all.imports(module) {
            if command(&target).is_some() && command(&target) != command(module) {
                wrong.push(format!("{}: {path}", module.join("::")));
            }
        }
    }
    assert!(commands.len() > 15, "{commands:?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_of_a_room_import_each_other_in_one_direction() {
    let all = Crate::read();
    let arrows: BTreeMap<Module, BTreeSet<Module>> = all
        .texts
        .keys()
        .map(|module| (module.clone(), all.imports(module).into_keys().collect()))
        .collect();
    let circles: BTreeSet<Vec<String>> = arrows
        .keys()
        .filter(|module| !module.is_empty())
        .filter_map(|module| circle(&arrows, module))
        .map(|way| way.iter().map(|module| module.join("::")).collect())
        .collect();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn a_use_statement_is_read_with_its_groups_and_new_names() {
    let text = "use crate::cos::{self, Bucket, list::{Page as P}};\npub use super::a::B;\n";
    let statements = use_statements(text);
    assert_eq!(statements.len(), 2);
    let paths: Vec<String> = expand(&statements[0].0)
        .iter()
        .map(|(path, name)| format!("{} as {name}", path.join("::")))
        .collect();
    assert_eq!(
        paths,
        ["crate::cos as cos", "crate::cos::Bucket as Bucket", "crate::cos::list::Page as P"]
    );
    assert_eq!(statements[1], ("super::a::B".to_owned(), true));
}
