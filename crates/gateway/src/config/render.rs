//! Problems and verdicts as a terminal shows them.

use std::{collections::HashMap, fmt::Write as _};

use super::{
    Outcome,
    problem::{Mark, Problem, Severity, Verdict},
};

/// Draws every problem, with its line and what to write instead, and a last line that counts them.
/// Empty if there is no problem. `colour` is for terminals.
pub fn render(outcome: &Outcome, colour: bool) -> String {
    let paint = Paint { colour };
    let mut out = String::new();
    for problem in &outcome.problems {
        draw(problem, &paint, &mut out);
    }
    let count = |severity| outcome.problems.iter().filter(|p| p.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    let total = match (errors, warnings) {
        (0, 0) => return out,
        (0, w) => format!("{w} warning{}", plural(w)),
        (e, 0) => format!("{e} error{}", plural(e)),
        (e, w) => format!("{e} error{}, {w} warning{}", plural(e), plural(w)),
    };
    let _ = writeln!(out, "{}", paint.bold(&total));
    out
}

fn draw(problem: &Problem, paint: &Paint, out: &mut String) {
    let word = match problem.severity {
        Severity::Error => paint.red("error"),
        Severity::Warning => paint.yellow("warning"),
    };
    let _ = writeln!(out, "{word}{}", paint.bold(&format!(": {}", problem.message)));
    let number = problem.line.to_string();
    let margin = " ".repeat(number.len());
    let place =
        if problem.path.is_empty() { String::new() } else { format!(" ({})", problem.path) };
    let arrow = paint.blue(&format!("{margin}-->"));
    let _ = writeln!(out, "{arrow} {}:{}:{}{place}", problem.file, problem.line, problem.column);
    let bar = paint.blue(&format!("{margin} |"));
    if !problem.source.trim().is_empty() {
        let _ = writeln!(out, "{bar}");
        let _ =
            writeln!(out, "{} {}", paint.blue(&format!("{number} |")), visible(&problem.source));
        let _ = writeln!(out, "{bar} {}", paint.red(&underline(problem)));
    }
    if let Some(help) = &problem.help {
        let _ = writeln!(out, "{} {help}", paint.blue(&format!("{margin} = help:")));
    }
    out.push('\n');
}

/// Tabs as one blank and no control characters, so that columns fit.
fn visible(source: &str) -> String {
    source.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn underline(problem: &Problem) -> String {
    let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let length = problem.source.chars().count();
    let start = size(problem.column).saturating_sub(1).min(length);
    let width = size(problem.width).min(length.saturating_sub(start)).max(1);
    format!("{}{}", " ".repeat(start), "^".repeat(width))
}

/// What became of every key, worst first. Entries of lists are counted together.
pub fn verdict_table(verdicts: &[Verdict]) -> String {
    let mut rows: Vec<Row> = Vec::new();
    let mut by_key: HashMap<(String, Mark, &str), usize> = HashMap::new();
    for verdict in verdicts {
        let path = without_indexes(&verdict.path);
        let key = (path.clone(), verdict.mark, verdict.reason.as_str());
        let next = rows.len();
        let index = *by_key.entry(key).or_insert(next);
        match rows.get_mut(index) {
            Some(row) => row.times += 1,
            None => rows.push(Row {
                mark: verdict.mark,
                path,
                line: verdict.line,
                times: 1,
                reason: verdict.reason.clone(),
            }),
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.mark));
    let width = rows.iter().map(|row| row.shown().chars().count()).max().unwrap_or(0);
    rows.iter().fold(String::new(), |mut out, row| {
        let line = format!("{:<11}  {:<width$}  {}", row.mark.name(), row.shown(), row.reason);
        let _ = writeln!(out, "{}", line.trim_end());
        out
    })
}

struct Row {
    mark: Mark,
    path: String,
    line: u32,
    times: usize,
    reason: String,
}

impl Row {
    fn shown(&self) -> String {
        let times = if self.times > 1 { format!(" ×{}", self.times) } else { String::new() };
        format!("{}{times} (line {})", self.path, self.line)
    }
}

fn without_indexes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        inside = inside && c != ']';
        if !inside {
            out.push(c);
        }
        inside = inside || c == '[';
    }
    out
}

struct Paint {
    colour: bool,
}

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }

    fn red(&self, text: &str) -> String {
        self.with("1;31", text)
    }

    fn yellow(&self, text: &str) -> String {
        self.with("1;33", text)
    }

    fn blue(&self, text: &str) -> String {
        self.with("1;34", text)
    }
}
