//! `cargo xtask fuzz`: gives the targets of `tollgate-fuzzed` bytes that libFuzzer chooses, beginning
//! with the fixtures and what was found before. Needs nightly Rust and cargo-fuzz.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tollgate_fuzzed::{
    TARGETS,
    seeds::{self, MAX_BYTES},
};

/// Longest time of one execution, on a machine that may have other things to do.
const TIMEOUT_S: u32 = 60;
/// Most memory of the whole program. What one execution may hold is far less: `fuzz/src/memory.rs`.
const RSS_LIMIT_MB: u32 = 512;
/// Time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);
/// Bytes, roughly, that are kept of what a target found beyond the fixtures.
const MAX_KEPT: usize = 12 * 1024;
/// Lines of what a target says of its failure that are shown.
const MOST_LINES: usize = 12;

/// Fuzz every parser, or these: no panic, bounded memory, the same from any cut of a stream.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The targets; all of them if none is named.
    targets: Vec<String>,
    /// Executions of each target.
    #[arg(long, default_value_t = 100_000)]
    runs: u64,
    /// Keep what was found: failures in `fuzz/findings`, and some of the inputs that reach more
    /// code than the fixtures in `fuzz/corpus`. The tests replay both.
    #[arg(long)]
    keep: bool,
}

/// Runs the targets one after the other; the exit code tells whether one failed.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let known: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    if let Some(name) = args.targets.iter().find(|name| !known.contains(name.as_str())) {
        bail!("there is no target `{name}`: {}", Vec::from_iter(known).join(", "));
    }
    let asked = |name: &str| args.targets.is_empty() || args.targets.iter().any(|one| one == name);
    let chosen: Vec<&str> =
        TARGETS.iter().map(|target| target.name).filter(|name| asked(name)).collect();
    let programs = build(&args.targets)?;
    let mut outcomes = Vec::new();
    for name in chosen {
        let campaign = Campaign::prepare(&programs, name)?;
        let outcome = campaign.run(args.runs)?;
        if args.keep {
            campaign.keep_failures()?;
            campaign.keep_corpus()?;
        }
        outcomes.push(outcome);
    }
    say(&summary(&outcomes))?;
    let failed = outcomes.iter().any(|outcome| outcome.failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn root() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    Ok(root.context("xtask lies in the repository")?.to_owned())
}

fn say(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("cannot print")
}

/// Builds the programs, and says where they are. No sanitizer: there is no `unsafe` code to watch,
/// and it would take most of the executions.
fn build(targets: &[String]) -> anyhow::Result<PathBuf> {
    let root = root()?;
    let target = crate::variable("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), PathBuf::from).join("fuzz");
    let target = std::path::absolute(target)?;
    say("building")?;
    let version = nightly(&root, "rustc").arg("-vV").output().context("cannot start rustc")?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("no nightly Rust: `rustup toolchain install nightly`")?;
    let mut build = nightly(&root, "cargo");
    build.args(["fuzz", "build", "--sanitizer=none", "-O", "--target", host]);
    build.arg("--target-dir").arg(&target);
    // One of them, or all.
    if let [only] = targets {
        build.arg(only);
    }
    let output = build.output().context("cannot start cargo")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "the targets do not build; it takes `cargo install cargo-fuzz`\n{errors}"
    );
    Ok(target.join(host).join("release"))
}

/// A program of the nightly toolchain, whichever runs this.
fn nightly(root: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command.arg("+nightly").current_dir(root).env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// One target, and the folders that it works in.
struct Campaign<'a> {
    name: &'a str,
    program: PathBuf,
    /// Of this target alone.
    dir: PathBuf,
}

/// How it went.
#[derive(Debug, Default)]
struct Outcome {
    name: String,
    runs: u64,
    runs_a_second: u64,
    peak_rss_mb: u64,
    /// Edges that were reached.
    cov: u64,
    failed: bool,
}

impl<'a> Campaign<'a> {
    /// The seeds as files, the dictionary, and room for what is found.
    fn prepare(programs: &Path, name: &'a str) -> anyhow::Result<Self> {
        let program = programs.join(name);
        ensure!(program.is_file(), "{} was not built", program.display());
        let dir = programs.join("work").join(name);
        let campaign = Campaign { name, program, dir };
        campaign.folder("found")?;
        let known = seeds::seeds(name);
        campaign.write("seeds", &known)?;
        fs::write(campaign.dir.join("words"), seeds::words(&known))?;
        Ok(campaign)
    }

    fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.dir.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {folder:?}"))?;
        Ok(folder)
    }

    /// A folder of these inputs and no others.
    fn write(&self, name: &str, inputs: &[Vec<u8>]) -> anyhow::Result<PathBuf> {
        let folder = self.folder(name)?;
        fs::remove_dir_all(&folder)?;
        fs::create_dir(&folder)?;
        for (n, input) in inputs.iter().enumerate() {
            fs::write(folder.join(format!("{n:04}")), input)?;
        }
        Ok(folder)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.dir).stdin(Stdio::null()).stdout(Stdio::null());
        command.arg(format!("-max_len={MAX_BYTES}"));
        command.arg(format!("-timeout={TIMEOUT_S}"));
        command.arg(format!("-rss_limit_mb={RSS_LIMIT_MB}"));
        command
    }

    fn run(&self, runs: u64) -> anyhow::Result<Outcome> {
        let mut command = self.command();
        command.arg(format!("-runs={runs}"));
        command.args(["-dict=words", "-print_final_stats=1", "-artifact_prefix=failure-"]);
        let mut child = command.args(["found", "seeds"]).stderr(Stdio::piped()).spawn()?;
        let pipe = child.stderr.take().context("libFuzzer's words are piped")?;
        let mut outcome = Outcome { name: self.name.to_owned(), ..Outcome::default() };
        let mut said = Vec::new();
        let mut last = Instant::now();
        for line in BufReader::new(pipe).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            if outcome.hear(&line) {
                if last.elapsed() > PROGRESS {
                    last = Instant::now();
                    say(&format!(
                        "{}: {} of {runs}, cov {}",
                        self.name, outcome.runs, outcome.cov
                    ))?;
                }
            } else if said.len() < MOST_LINES && (!said.is_empty() || tells_of_failure(&line)) {
                said.push(line);
            }
        }
        outcome.failed = !child.wait()?.success();
        if outcome.failed {
            say(&format!(
                "{} failed; the input is in {}\n{}",
                self.name,
                self.dir.display(),
                said.join("\n")
            ))?;
        }
        Ok(outcome)
    }

    /// Writes what it failed with to the repository.
    fn keep_failures(&self) -> anyhow::Result<()> {
        let mut failures = seeds::kept(&seeds::findings(self.name));
        for file in files(&self.dir)?.iter().filter(|file| is_failure(file)) {
            let input = fs::read(file)?;
            if !failures.contains(&input) {
                failures.push(input);
            }
        }
        store(&seeds::findings(self.name), &failures)
    }

    /// And of what reaches more code than the fixtures a selection.
    fn keep_corpus(&self) -> anyhow::Result<()> {
        let fixtures = seeds::fixtures(self.name);
        let merged = self.write("merged", &fixtures)?;
        let old = self.write("kept", &seeds::kept(&seeds::corpus(self.name)))?;
        let mut merge = self.command();
        // By the code that is reached, not by how often.
        merge.args(["-set_cover_merge=1", "-use_counters=0"]).arg(&merged).arg(old);
        merge.arg("found").stderr(Stdio::null());
        ensure!(merge.status()?.success(), "{}: the inputs cannot be merged", self.name);
        // Those of the fixtures have a number for a name, the others a hash.
        let new = files(&merged)?.into_iter();
        let new = new.filter(|file| file.file_name().is_some_and(|name| name.len() > 8));
        let mut inputs = new.map(fs::read).collect::<Result<Vec<_>, _>>()?;
        inputs.sort_by_key(|input| (input.len(), input.clone()));
        // A fair share of the short and of the long.
        let total: usize = inputs.iter().map(Vec::len).sum();
        let inputs: Vec<_> = inputs.into_iter().step_by(total.div_ceil(MAX_KEPT).max(1)).collect();
        store(&seeds::corpus(self.name), &inputs)
    }
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A panic, too much memory, or what libFuzzer itself sees.
fn tells_of_failure(line: &str) -> bool {
    ["panicked at", "memory is not bounded", "ERROR: libFuzzer"].iter().any(|it| line.contains(it))
}

/// What libFuzzer says was slow may only have waited for the machine.
fn is_failure(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("failure-") && !name.starts_with("failure-slow-unit")
}

/// Writes inputs as text; no file where there is none.
fn store(file: &Path, inputs: &[Vec<u8>]) -> anyhow::Result<()> {
    if inputs.is_empty() {
        return Ok(());
    }
    let folder = file.parent().context("it is in a folder")?;
    fs::create_dir_all(folder)?;
    let text = seeds::pack(inputs.iter().map(Vec::as_slice));
    fs::write(file, text).with_context(|| format!("cannot write {file:?}"))
}

impl Outcome {
    /// Takes in a line of libFuzzer's; false where it is nothing to count.
    fn hear(&mut self, line: &str) -> bool {
        let number = |text: Option<&str>| text.and_then(|text| text.trim().parse::<u64>().ok());
        if let Some((name, value)) = line.strip_prefix("stat::").and_then(|it| it.split_once(':')) {
            let value = number(Some(value)).unwrap_or_default();
            match name {
                "number_of_executed_units" => self.runs = value,
                "average_exec_per_sec" => self.runs_a_second = value,
                "peak_rss_mb" => self.peak_rss_mb = value,
                _ => {}
            }
            return true;
        }
        // #65536  pulse  cov: 1234 ft: 5678 corp: 300/100Kb lim: 4096 exec/s: 32768 rss: 44Mb
        let Some((runs, rest)) = line.strip_prefix('#').and_then(|it| it.split_once(['\t', ' ']))
        else {
            return false;
        };
        self.runs = number(Some(runs)).unwrap_or(self.runs);
        let cov = rest.split_once("cov: ").and_then(|(_, cov)| cov.split(' ').next());
        self.cov = number(cov).unwrap_or(self.cov);
        true
    }
}

fn summary(outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "\n{:<20} {:>12} {:>9} {:>7} {:>9}\n",
        "target", "executions", "each s", "cov", "peak RSS"
    );
    for one in outcomes {
        let Outcome { name, runs, runs_a_second, cov, peak_rss_mb, failed } = one;
        let end = if *failed { "  failed" } else { "" };
        let _ = writeln!(
            text,
            "{name:<20} {runs:>12} {runs_a_second:>9} {cov:>7} {peak_rss_mb:>6} MB{end}"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Outcome, tells_of_failure};

    #[test]
    fn hears_what_libfuzzer_says() {
        let mut outcome = Outcome::default();
        let pulse = "#65536\tpulse  cov: 1234 ft: 5678 corp: 300/100Kb exec/s: 32768 rss: 44Mb";
        assert!(outcome.hear(pulse));
        assert_eq!((outcome.runs, outcome.cov), (65536, 1234));
        assert!(outcome.hear("stat::number_of_executed_units: 100000"));
        assert!(outcome.hear("stat::peak_rss_mb:              38"));
        assert_eq!((outcome.runs, outcome.peak_rss_mb), (100_000, 38));
        let panic = "thread '<unnamed>' (1) panicked at src/main.rs:1:1:";
        assert!(!outcome.hear(panic) && tells_of_failure(panic) && !tells_of_failure(pulse));
    }
}
