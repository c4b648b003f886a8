//! One suite: a command that is run within a limit, shown as it runs, and counted.

use std::{
    io::{BufRead, BufReader, Read, Write as _},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;

/// How a suite ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) took: Duration,
    /// What a person should know.
    pub(super) note: Option<String>,
}

/// Passed and failed, as a runner reported them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

impl Outcome {
    /// A suite that could not begin: it counts as one failure, never as none.
    pub(super) fn unable(name: &str, why: &anyhow::Error) -> Self {
        Outcome {
            name: name.to_owned(),
            passed: 0,
            failed: 1,
            took: Duration::ZERO,
            note: Some(format!("{why:#}")),
        }
    }
}

/// Runs a suite and counts its tests by what it printed.
pub(super) fn run(
    name: &str,
    command: &mut Command,
    limit: Duration,
    count: fn(&str) -> Counts,
) -> Outcome {
    super::say(&format!("\n=== {name}"));
    let begin = Instant::now();
    let (ended_well, printed) = match watched(command, limit) {
        Ok(ended) => ended,
        Err(why) => return Outcome::unable(name, &why),
    };
    let Counts { passed, mut failed } = count(&printed);
    let mut note = None;
    if !ended_well && failed == 0 {
        failed = 1;
        note = Some("it did not build, was ended, or failed outside its tests".to_owned());
    }
    if ended_well && passed + failed == 0 {
        failed = 1;
        note = Some("it ran no test".to_owned());
    }
    Outcome { name: name.to_owned(), passed, failed, took: begin.elapsed(), note }
}

/// Runs a preparation, quietly unless it fails.
pub(super) fn prepare(command: &mut Command, limit: Duration) -> anyhow::Result<()> {
    let text = format!("{command:?}");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {text}"))?;
    let readers = [reader(child.stdout.take(), None), reader(child.stderr.take(), None)];
    let ended_well = wait(&mut child, limit)?;
    let printed: String = readers.into_iter().filter_map(|one| one.join().ok()).collect();
    if ended_well {
        return Ok(());
    }
    let lines: Vec<&str> = printed.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n");
    anyhow::bail!("{text} failed\n{tail}")
}

fn watched(command: &mut Command, limit: Duration) -> anyhow::Result<(bool, String)> {
    let text = format!("{command:?}");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {text}"))?;
    let readers = [reader(child.stdout.take(), Some(())), reader(child.stderr.take(), Some(()))];
    let ended_well = wait(&mut child, limit)?;
    let printed = readers.into_iter().filter_map(|one| one.join().ok()).collect();
    Ok((ended_well, printed))
}

/// Collects what a pipe brings, and shows it as it comes where `show` is set.
fn reader(
    pipe: Option<impl Read + Send + 'static>,
    show: Option<()>,
) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        let lines = pipe.into_iter().flat_map(|pipe| BufReader::new(pipe).split(b'\n'));
        for line in lines.map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if show.is_some() {
                let _ = writeln!(std::io::stdout(), "{line}");
            }
            text.push_str(&line);
            text.push('\n');
        }
        text
    })
}

/// Waits for the end; a child that takes too long is killed and has failed.
fn wait(child: &mut Child, limit: Duration) -> anyhow::Result<bool> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for a child")? {
            return Ok(status.success());
        }
        if begin.elapsed() > limit {
            super::say(&format!("--- ended after {} s: over its limit", limit.as_secs()));
            child.kill().context("cannot end a child")?;
            child.wait().context("cannot wait for a child")?;
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The number before a word: `21 passed` in `21 tests run: 21 passed, 0 skipped`.
pub(super) fn number_before(text: &str, word: &str) -> u64 {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || ",;()".contains(c))
        .filter(|w| !w.is_empty())
        .collect();
    words
        .windows(2)
        .find_map(|pair| match pair {
            [number, found] if *found == word => number.parse().ok(),
            _ => None,
        })
        .unwrap_or(0)
}
