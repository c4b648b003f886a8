//! `environment_variables` and `os.environ/NAME`.

use std::collections::HashMap;

use super::{
    problem::{Report, Spot},
    section::{Section, plain_text},
    yaml::{Node, Text, Value},
};

const PREFIX: &str = "os.environ/";
/// LiteLLM takes these from the process alone.
const NOT_FROM_A_FILE: [&str; 14] = [
    "PATH",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "DYLD_INSERT_LIBRARIES",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONHOME",
    "HOME",
    "USER",
    "SHELL",
    "LOGNAME",
    "NO_PROXY",
    "no_proxy",
];

/// The process environment with `environment_variables` laid over it, as LiteLLM does.
pub(super) struct Environment<'a> {
    process: &'a dyn Fn(&str) -> Option<String>,
    over: HashMap<String, String>,
}

impl<'a> Environment<'a> {
    /// Reads the section `environment_variables` of `root`.
    pub(super) fn new(
        process: &'a dyn Fn(&str) -> Option<String>,
        root: &Node,
        report: &mut Report,
    ) -> Self {
        let mut over = HashMap::new();
        if let Some(node) = root.get("environment_variables") {
            let section =
                Section::new("environment_variables", "environment_variables", node, report);
            for entry in section.entries() {
                let path = section.path_of(&entry.key);
                if NOT_FROM_A_FILE.contains(&entry.key.as_str()) {
                    let message = format!("`{}` is taken from the process alone", entry.key);
                    report.warning(entry.at, &path, message, None);
                    continue;
                }
                let Some(value) = plain_text(&entry.value) else {
                    if entry.value.value != Value::Null {
                        let found = entry.value.kind();
                        report.error(
                            entry.value.at,
                            &path,
                            format!("expected a text, found {found}"),
                        );
                    }
                    continue;
                };
                let value = match value.strip_prefix(PREFIX) {
                    Some(name) => match set(process, name) {
                        Some(value) => value,
                        None => {
                            missing(name, entry.value.at, &path, report);
                            continue;
                        }
                    },
                    None => value,
                };
                over.insert(entry.key.clone(), value);
            }
        }
        Environment { process, over }
    }

    /// The process environment alone.
    pub(super) fn process(process: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Environment { process, over: HashMap::new() }
    }

    /// A variable, if it is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        match self.over.get(name) {
            Some(value) => Some(value.clone()).filter(|value| !value.is_empty()),
            None => set(self.process, name),
        }
    }

    /// The first of `names` that is set, with its value.
    pub(super) fn first<'n>(&self, names: &'n [String]) -> Option<(&'n str, String)> {
        names.iter().find_map(|name| Some((name.as_str(), self.get(name)?)))
    }

    /// Replaces every `os.environ/NAME` below `node`; each that is missing is an error.
    ///
    /// LiteLLM leaves texts inside lists as they are; here they are replaced too.
    pub(super) fn fill(&self, node: &mut Node, path: &str, report: &mut Report) {
        let at = node.at;
        match &mut node.value {
            Value::Text(text) => {
                if let Some(name) = text.text.strip_prefix(PREFIX) {
                    node.value = self.value(name.trim(), at, path, report);
                } else if is_oidc(&text.text) {
                    report.unsupported(
                        at,
                        path,
                        "tokens from an identity provider (`oidc/…`) are not built yet",
                    );
                    node.value = hidden("");
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.fill(item, &format!("{path}[{index}]"), report);
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    let key = super::keys::shown(&entry.key);
                    let path = if path.is_empty() { key } else { format!("{path}.{key}") };
                    if path != "environment_variables" {
                        self.fill(&mut entry.value, &path, report);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn value(&self, name: &str, at: Spot, path: &str, report: &mut Report) -> Value {
        match self.get(name) {
            // LiteLLM makes booleans of these two words.
            Some(value) => match value.trim().to_ascii_lowercase().as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => hidden(&value),
            },
            None => {
                missing(name, at, path, report);
                hidden("")
            }
        }
    }
}

fn hidden(text: &str) -> Value {
    Value::Text(Text { text: text.to_owned(), hidden: true })
}

fn missing(name: &str, at: Spot, path: &str, report: &mut Report) {
    let name = super::keys::shown(name);
    let message = if name.is_empty() {
        "expected the name of an environment variable after `os.environ/`".to_owned()
    } else {
        format!("environment variable `{name}` is not set")
    };
    report.error(at, path, message);
}

fn set(process: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    process(name).filter(|value| !value.is_empty())
}

fn is_oidc(text: &str) -> bool {
    text.strip_prefix("oidc/").and_then(|rest| rest.split('/').next()).is_some_and(|provider| {
        ["google", "circleci", "circleci_v2", "github", "azure", "file", "env", "env_path"]
            .contains(&provider)
    })
}
