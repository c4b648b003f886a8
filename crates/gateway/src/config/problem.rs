//! What is wrong with a configuration, and what became of each of its keys.

use super::mask;

/// The most problems that are kept; a file with more is broken in one way, not in thousands.
const MAX_PROBLEMS: usize = 200;
/// The most verdicts that are kept.
const MAX_VERDICTS: usize = 100_000;
/// The longest source line that a problem carries, in characters.
const MAX_LINE: usize = 240;

/// Where something stands in a source file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Spot {
    /// Index of the file in [`Sources`].
    pub file: u16,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Characters, within the line.
    pub width: u32,
}

impl Spot {
    /// For what no file says.
    pub(super) const ENVIRONMENT: Spot = Spot { file: u16::MAX, line: 1, column: 1, width: 1 };
}

/// The files that a configuration was read from, the root first.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<(String, String)>);

impl Sources {
    /// Adds a file and says its index.
    pub(super) fn add(&mut self, name: &str, text: String) -> u16 {
        self.0.push((name.to_owned(), text));
        u16::try_from(self.0.len().saturating_sub(1)).unwrap_or(u16::MAX)
    }

    /// A file's name and text; `environment` and nothing for [`Spot::ENVIRONMENT`].
    pub(super) fn get(&self, file: u16) -> (&str, &str) {
        self.0.get(usize::from(file)).map_or(("environment", ""), |(name, text)| (name, text))
    }
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// The configuration is used; somebody should look.
    Warning,
}

/// Something that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name, as it was given; `environment` for what no file says.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1, in characters.
    pub column: u32,
    /// How many characters of the line are meant, at least 1.
    pub width: u32,
    /// The path of the setting, such as `model_list[0].litellm_params.api_key`; empty for the
    /// whole file.
    pub path: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// The source line with its secrets masked; empty for what no file says.
    pub source: String,
}

impl std::fmt::Display for Problem {
    /// One line, for logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Problem { message, path, file, line, .. } = self;
        if path.is_empty() {
            write!(f, "{message} ({file}, line {line})")
        } else {
            write!(f, "{message} ({path}, {file}, line {line})")
        }
    }
}

/// What became of a key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// It does what LiteLLM does with it.
    Exact,
    /// It does nearly what LiteLLM does; the reason says what differs.
    Approximate,
    /// It has no effect, and nothing is lost; the reason says why.
    Ignored,
    /// It would have had an effect, and Tollgate does not have it.
    Unsupported,
}

impl Mark {
    /// The word in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Mark::Exact => "exact",
            Mark::Approximate => "approximate",
            Mark::Ignored => "ignored",
            Mark::Unsupported => "unsupported",
        }
    }
}

/// What became of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The file's name.
    pub file: String,
    /// The line of the key, from 1.
    pub line: u32,
    /// The path, such as `router_settings.num_retries`.
    pub path: String,
    /// What became of it.
    pub mark: Mark,
    /// Why, in one line; empty where there is nothing to add.
    pub reason: String,
}

/// Whether what Tollgate does not have is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// An unsupported key is an error.
    Strict,
    /// An unsupported key is a warning.
    Lenient,
}

/// Collects problems and verdicts on the way.
pub(super) struct Report {
    pub sources: Sources,
    problems: Vec<Problem>,
    verdicts: Vec<Verdict>,
    strictness: Strictness,
    errors: usize,
}

impl Report {
    pub(super) fn new(strictness: Strictness) -> Self {
        Report {
            sources: Sources::default(),
            problems: Vec::new(),
            verdicts: Vec::new(),
            strictness,
            errors: 0,
        }
    }

    /// True once no more problems are kept.
    pub(super) fn is_full(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS
    }

    /// True once there is an error.
    pub(super) fn failed(&self) -> bool {
        self.errors > 0
    }

    pub(super) fn error(&mut self, at: Spot, path: &str, message: impl Into<String>) {
        self.add(Severity::Error, at, path, message.into(), None);
    }

    pub(super) fn error_help(
        &mut self,
        at: Spot,
        path: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Error, at, path, message.into(), Some(help.into()));
    }

    pub(super) fn warning(
        &mut self,
        at: Spot,
        path: &str,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.add(Severity::Warning, at, path, message.into(), help);
    }

    /// What Tollgate does not have: an error, or a warning where the operator wants it so.
    pub(super) fn unsupported(&mut self, at: Spot, path: &str, message: impl Into<String>) {
        let (severity, help) = match self.strictness {
            Strictness::Strict => (
                Severity::Error,
                Some("take it out, or start with `--lenient` to do without it".to_owned()),
            ),
            Strictness::Lenient => (Severity::Warning, None),
        };
        self.add(severity, at, path, message.into(), help);
    }

    pub(super) fn verdict(
        &mut self,
        at: Spot,
        path: String,
        mark: Mark,
        reason: impl Into<String>,
    ) {
        if self.verdicts.len() < MAX_VERDICTS {
            let file = self.sources.get(at.file).0.to_owned();
            self.verdicts.push(Verdict { file, line: at.line, path, mark, reason: reason.into() });
        }
    }

    /// The problems in the order of the files, and the verdicts.
    pub(super) fn finish(mut self) -> (Vec<Problem>, Vec<Verdict>) {
        let order = |file: &str| self.sources.0.iter().position(|(name, _)| name == file);
        self.problems.sort_by(|a, b| {
            (order(&a.file), a.line, a.column).cmp(&(order(&b.file), b.line, b.column))
        });
        (self.problems, self.verdicts)
    }

    fn add(
        &mut self,
        severity: Severity,
        at: Spot,
        path: &str,
        message: String,
        help: Option<String>,
    ) {
        if severity == Severity::Error {
            self.errors = self.errors.saturating_add(1);
        }
        if self.is_full() {
            return;
        }
        let (file, text) = self.sources.get(at.file);
        let line = usize::try_from(at.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let source: String = text.lines().nth(line).unwrap_or("").chars().take(MAX_LINE).collect();
        let problem = Problem {
            file: file.to_owned(),
            line: at.line.max(1),
            column: at.column.max(1),
            width: at.width.max(1),
            path: path.to_owned(),
            severity,
            message,
            help,
            source: mask::line(&source, path),
        };
        // The same anchor read twice has the same problem once.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}
