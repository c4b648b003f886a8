//! `include`: other files merged into the one that names them.

use std::{
    collections::VecDeque,
    io,
    path::{Component, Path, PathBuf},
};

use super::{
    problem::{Mark, Report},
    yaml::{self, Entry, Node, Value},
};

/// The most files that a configuration may be made of.
const MAX_FILES: usize = 64;

/// How an included file is read, by its path.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> io::Result<String>;

/// Merges what `include` names, and what that includes, into `root`.
///
/// As in LiteLLM lists are extended, and of everything else the included file's value counts,
/// whole sections included. A file is read once. Paths are relative to the file that names them.
pub(super) fn merge(root: Node, file: &str, read: ReadFile<'_>, report: &mut Report) -> Node {
    let mut root = root;
    let mut seen = vec![file.to_owned()];
    let mut pending = take(&mut root, file, report);
    while let Some(wanted) = pending.pop_front() {
        if seen.contains(&wanted.file) {
            continue;
        }
        if seen.len() >= MAX_FILES {
            report.error(wanted.at, "include", format!("more than {MAX_FILES} files"));
            break;
        }
        seen.push(wanted.file.clone());
        let text = match read(&wanted.file) {
            Ok(text) => text,
            Err(why) => {
                let why = if why.kind() == io::ErrorKind::NotFound {
                    "there is no such file".to_owned()
                } else {
                    why.kind().to_string()
                };
                let message = format!("`{}` cannot be read: {why}", wanted.file);
                report.error(wanted.at, "include", message);
                continue;
            }
        };
        let index = report.sources.add(&wanted.file, text.clone());
        if let Some(mut more) = yaml::parse(index, &text, report) {
            pending.extend(take(&mut more, &wanted.file, report));
            lay_over(&mut root, more, report);
        }
    }
    root
}

struct Wanted {
    file: String,
    at: super::problem::Spot,
}

/// Takes the entry `include` out of a map.
fn take(root: &mut Node, file: &str, report: &mut Report) -> VecDeque<Wanted> {
    let Value::Map(entries) = &mut root.value else { return VecDeque::new() };
    let Some(index) = entries.iter().position(|e| e.key == "include") else {
        return VecDeque::new();
    };
    let entry = entries.remove(index);
    report.verdict(entry.at, "include".to_owned(), Mark::Exact, "");
    let Value::List(items) = &entry.value.value else {
        if entry.value.value != Value::Null {
            let found = entry.value.kind();
            report.error(
                entry.value.at,
                "include",
                format!("expected a list of files, found {found}"),
            );
        }
        return VecDeque::new();
    };
    let mut wanted = VecDeque::new();
    for item in items {
        match &item.value {
            Value::Text(text) => {
                wanted.push_back(Wanted { file: beside(file, &text.text), at: item.at })
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => {
                let found = item.kind();
                report.error(item.at, "include", format!("expected a file's name, found {found}"));
            }
        }
    }
    wanted
}

/// `name` as seen from `file`, without detours, so that the same file has the same name.
pub(super) fn beside(file: &str, name: &str) -> String {
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let mut path = PathBuf::new();
    for component in folder.join(name).components() {
        let back = component == Component::ParentDir
            && matches!(path.components().next_back(), Some(Component::Normal(_)));
        if back {
            path.pop();
        } else if component != Component::CurDir {
            path.push(component);
        }
    }
    path.to_string_lossy().into_owned()
}

fn lay_over(root: &mut Node, more: Node, report: &mut Report) {
    let at = more.at;
    let (Value::Map(into), found) = (&mut root.value, more.kind()) else { return };
    let Value::Map(entries) = more.value else {
        report.error(at, "", format!("expected a map, found {found}"));
        return;
    };
    for entry in entries {
        match into.iter_mut().find(|own| own.key == entry.key) {
            None => into.push(entry),
            Some(own) => replace(own, entry, report),
        }
    }
}

fn replace(own: &mut Entry, entry: Entry, report: &mut Report) {
    match (&mut own.value.value, entry.value.value) {
        (Value::List(into), Value::List(items)) => into.extend(items),
        (_, value) => {
            let line = own.at.line;
            let message = format!(
                "`{}` takes the place of all of it at line {line} of the including file",
                entry.key
            );
            report.warning(entry.at, &entry.key, message, None);
            *own = Entry { value: Node { at: entry.value.at, value }, ..entry };
        }
    }
}
