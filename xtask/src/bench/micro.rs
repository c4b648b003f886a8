//! Counted instructions: what a piece of the hot path takes, whatever else the machine is doing.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};

/// More than this many times the baseline's instructions fails the check.
const WORST: f64 = 1.10;

#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Micro {
    /// Count the instructions of pieces of the hot path instead, with valgrind.
    #[arg(long)]
    micro: bool,
    /// Count them and fail where any takes over 10 % more than this file says.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = BASELINE)]
    check: Option<PathBuf>,
    /// Count them and write this file.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = BASELINE)]
    write: Option<PathBuf>,
}

const BASELINE: &str = "bench/baseline.json";

/// Instructions of one iteration, by case.
type Counts = BTreeMap<String, u64>;

impl Micro {
    pub(super) fn asked(&self) -> bool {
        self.micro || self.check.is_some() || self.write.is_some()
    }
}

pub(super) fn run(args: &Micro, root: &Path) -> anyhow::Result<()> {
    let has_valgrind = Command::new("valgrind").arg("--version").output().is_ok();
    ensure!(has_valgrind, "valgrind is not installed: it is what counts the instructions");
    let baseline = args.check.as_ref().map(|file| read(&root.join(file))).transpose()?;
    let program = super::build(root, &["bench-micro"])?.join("bench-micro");
    let dir = tempfile::Builder::new().prefix("tollgate-bench-").tempdir()?;
    let mut counts = Counts::new();
    for (case, iterations) in cases(&program)? {
        let once = count(&program, &case, iterations, dir.path())?;
        let twice = count(&program, &case, iterations.saturating_mul(2), dir.path())?;
        let each = twice.saturating_sub(once) / u64::from(iterations.max(1));
        let before = baseline.as_ref().and_then(|baseline| baseline.get(&case));
        super::print(&line(&case, each, before))?;
        counts.insert(case, each);
    }
    if let Some(file) = &args.write {
        fs::write(root.join(file), serde_json::to_string_pretty(&counts)? + "\n")?;
    }
    let complaints = compare(&baseline.unwrap_or_else(|| counts.clone()), &counts);
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

fn line(case: &str, each: u64, before: Option<&u64>) -> String {
    match before {
        None => format!("{case:<28} {each:>10}"),
        Some(&before) => {
            let change = (each as f64 / before.max(1) as f64 - 1.0) * 100.0;
            format!("{case:<28} {each:>10}  {change:>+6.1} %")
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Counts> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no baseline", file.display()))
}

/// What to object to: a case that takes more than it did, and cases that only one side has.
fn compare(baseline: &Counts, counts: &Counts) -> Vec<String> {
    let mut complaints = Vec::new();
    for (case, &now) in counts {
        match baseline.get(case) {
            None => complaints.push(format!("`{case}` is not in the baseline: use --write")),
            Some(&before) if now as f64 > before as f64 * WORST => complaints.push(format!(
                "`{case}` takes {now} instructions, {before} before: over 10 % more"
            )),
            Some(_) => {}
        }
    }
    let gone = baseline.keys().filter(|case| !counts.contains_key(*case));
    complaints.extend(gone.map(|case| format!("`{case}` is in the baseline alone: use --write")));
    complaints
}

fn cases(program: &Path) -> anyhow::Result<Vec<(String, u32)>> {
    let output = Command::new(program).arg("--list").output()?;
    ensure!(output.status.success(), "the cases cannot be listed");
    let case = |line: &str| {
        let (name, iterations) = line.split_once('\t')?;
        Some((name.to_owned(), iterations.parse().ok()?))
    };
    let list = String::from_utf8(output.stdout)?;
    list.lines().map(|line| case(line).with_context(|| format!("no case: {line}"))).collect()
}

/// Instructions of a whole run.
fn count(program: &Path, case: &str, iterations: u32, dir: &Path) -> anyhow::Result<u64> {
    let file = dir.join("counted");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", &format!("--callgrind-out-file={}", file.display())])
        .arg(program)
        .args([case, &iterations.to_string()])
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        bail!("`{case}` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = fs::read_to_string(&file)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.context("valgrind says no total")?.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, u64)]) -> Counts {
        of.iter().map(|(case, count)| ((*case).to_owned(), *count)).collect()
    }

    #[test]
    fn ten_percent_more_is_too_much() {
        let baseline = counts(&[("peek", 1000), ("price", 100)]);
        assert!(compare(&baseline, &counts(&[("peek", 1100), ("price", 100)])).is_empty());
        assert!(compare(&baseline, &counts(&[("peek", 10), ("price", 1)])).is_empty());
        let slower = compare(&baseline, &counts(&[("peek", 1101), ("price", 100)]));
        assert_eq!(slower, ["`peek` takes 1101 instructions, 1000 before: over 10 % more"]);
    }

    #[test]
    fn a_case_cannot_hide() {
        let baseline = counts(&[("peek", 1000)]);
        let complaints = compare(&baseline, &counts(&[("plan", 10)]));
        assert_eq!(complaints.len(), 2, "{complaints:?}");
    }
}
