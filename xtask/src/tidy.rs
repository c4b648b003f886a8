//! `cargo xtask tidy`: the rules of the house that no compiler checks. Who may import whom, how
//! long a file may be, which words are banned, and where a clock or a float may be.

mod crates;
mod hygiene;
mod lex;
mod source;

use std::{
    fmt, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::Context;

/// Check the rules that no compiler checks: imports, file lengths, banned words.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// A broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// From the top of the repository.
    file: String,
    /// 0 where the whole file is meant.
    line: usize,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

/// Prints every broken rule; the exit code tells whether there is one.
pub(crate) fn run(_: &Args) -> anyhow::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = root.parent().context("xtask lies in the repository")?;
    let mut findings = crates::check(root)?;
    let mut handles = Vec::new();
    let providers = provider_names(root)?;
    let mut seen = 0;
    for path in tracked(root)? {
        // Binary files, and files that are deleted but still listed.
        let Ok(text) = fs::read_to_string(root.join(&path)) else { continue };
        let name = path.display().to_string();
        findings.extend(hygiene::check(&name, &text));
        if path.extension().is_some_and(|ext| ext == "rs") {
            seen += 1;
            let file = source::File::new(&name, &text);
            findings.extend(source::check(&file, &providers));
            handles.extend(source::handles(&file));
        }
    }
    findings.extend(source::too_many_handles(handles));
    findings.sort();
    let mut out = std::io::stdout().lock();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    match findings.len() {
        0 => writeln!(out, "tidy: {seen} files, nothing to say")?,
        n => writeln!(out, "tidy: {n} rules broken in {seen} files")?,
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The files of the repository: tracked, or new and not ignored.
fn tracked(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let words = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output =
        Command::new("git").args(words).current_dir(root).output().context("git ls-files")?;
    anyhow::ensure!(output.status.success(), "git ls-files failed: tidy needs a git checkout");
    let text = String::from_utf8(output.stdout).context("a file name that is not UTF-8")?;
    Ok(text.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}

/// The providers of the catalogue: `[name]` in `catalog/providers.toml`.
fn provider_names(root: &Path) -> anyhow::Result<Vec<String>> {
    let file = root.join("catalog/providers.toml");
    let text = fs::read_to_string(&file).context("cannot read catalog/providers.toml")?;
    let header = |line: &str| line.trim().strip_prefix('[')?.strip_suffix(']').map(str::to_owned);
    let names: Vec<String> =
        text.lines().filter_map(header).filter(|name| !name.contains(['[', '.'])).collect();
    anyhow::ensure!(!names.is_empty(), "catalog/providers.toml names no provider");
    Ok(names)
}
