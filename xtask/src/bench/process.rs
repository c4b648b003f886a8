//! Processes that the benchmark starts: pinned, watched with all their children, and ended with
//! them. It touches no process that it did not start.

use std::{
    collections::HashMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;

use super::machine::TICKS_PER_S;

/// How long a process may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server under way.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    log: PathBuf,
    /// Just before it was started.
    pub(super) started: Instant,
}

/// CPU time in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cpu {
    pub(super) user_s: f64,
    pub(super) system_s: f64,
}

/// Memory in MB: now, and at its highest.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    pub(super) now_mb: f64,
    pub(super) peak_mb: f64,
}

/// A command line with its environment.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) words: Vec<String>,
    pub(super) env: Vec<(String, String)>,
}

impl Line {
    pub(super) fn new<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Line {
        Line { words: words.into_iter().map(Into::into).collect(), env: Vec::new() }
    }

    /// The command, pinned to `cores`. `taskset` becomes the program, so the pid is the program's.
    pub(super) fn command(&self, cores: Option<&str>) -> anyhow::Result<Command> {
        let pinned = cores.map(|cores| ["taskset", "-c", cores]);
        let mut words = pinned.iter().flatten().copied().chain(self.words.iter().map(|w| &**w));
        let mut command = Command::new(words.next().context("an empty command")?);
        command.args(words).envs(self.env.iter().map(|(k, v)| (k, v))).stdin(Stdio::null());
        Ok(command)
    }
}

impl Cpu {
    pub(super) fn total_s(self) -> f64 {
        self.user_s + self.system_s
    }

    pub(super) fn since(self, earlier: Cpu) -> Cpu {
        Cpu { user_s: self.user_s - earlier.user_s, system_s: self.system_s - earlier.system_s }
    }
}

impl Server {
    /// Starts it; what it prints goes to `log`.
    pub(super) fn start(line: &Line, cores: Option<&str>, log: &Path) -> anyhow::Result<Server> {
        let out = File::create(log).context("cannot write a log")?;
        let mut command = line.command(cores)?;
        command.stderr(out.try_clone()?).stdout(out);
        let started = Instant::now();
        let child =
            command.spawn().with_context(|| format!("cannot start `{}`", line.words.join(" ")))?;
        Ok(Server { child, log: log.to_owned(), started })
    }

    /// Fails if it has ended, with the last lines that it printed.
    pub(super) fn alive(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(20).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        anyhow::bail!("it ended ({status}); it said:\n{}", tail.join("\n"))
    }

    /// User and system time of it and its children, those that have ended included.
    pub(super) fn cpu(&self) -> Cpu {
        let mut cpu = Cpu::default();
        for pid in tree(self.child.id()) {
            let stat = Stat::read(pid).unwrap_or_default();
            cpu.user_s += stat.user_ticks / TICKS_PER_S;
            cpu.system_s += stat.system_ticks / TICKS_PER_S;
        }
        cpu
    }

    /// Waits until it does nothing any more, so that work put off is charged to whom it belongs.
    pub(super) fn rest(&self) {
        let until = Instant::now() + PATIENCE;
        let mut before = self.cpu().total_s();
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(150));
            let now = self.cpu().total_s();
            if now - before < 1.5 / TICKS_PER_S {
                return;
            }
            before = now;
        }
    }

    pub(super) fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for pid in tree(self.child.id()) {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let mb = |name: &str| {
                let rest = status.lines().find_map(|line| line.strip_prefix(name));
                let kb = rest.and_then(|rest| rest.split_ascii_whitespace().next());
                kb.and_then(|kb| kb.parse::<f64>().ok()).unwrap_or_default() / 1024.0
            };
            memory.now_mb += mb("VmRSS:");
            memory.peak_mb += mb("VmHWM:");
        }
        memory
    }

    /// Asks it and its children to end, and ends those that do not.
    pub(super) fn stop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let ours: Vec<(u32, Option<u64>)> =
            tree(self.child.id()).into_iter().map(|pid| (pid, since(pid))).collect();
        let still = || ours.iter().filter(|(pid, born)| born.is_some() && since(*pid) == *born);
        for signal in ["TERM", "KILL"] {
            for (pid, _) in still() {
                // `sh` has a `kill` of its own everywhere. A process that is gone is no trouble.
                let kill = format!("kill -{signal} {pid} 2>/dev/null");
                let _sent = Command::new("sh").args(["-c", &kill]).status();
            }
            let until = Instant::now() + PATIENCE;
            while Instant::now() < until {
                let ended = !matches!(self.child.try_wait(), Ok(None));
                if ended && still().next().is_none() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// When a process was born, in ticks since the machine started: with the pid it is a name that
/// nobody else has.
fn since(pid: u32) -> Option<u64> {
    Stat::read(pid).map(|stat| stat.born)
}

/// A process and all that descend from it.
fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        if let Some(pid) = pid
            && let Some(stat) = Stat::read(pid)
        {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let (mut found, mut todo) = (Vec::new(), vec![root]);
    while let Some(pid) = todo.pop() {
        found.push(pid);
        todo.extend(children.remove(&pid).into_iter().flatten());
    }
    found
}

/// What `/proc/<pid>/stat` says.
#[derive(Debug, Default)]
struct Stat {
    parent: u32,
    /// With children that have ended and were waited for.
    user_ticks: f64,
    system_ticks: f64,
    born: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Stat> {
        Stat::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Stat> {
        // The name, in brackets, may hold anything.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let ticks = |n: usize| fields.get(n)?.parse::<f64>().ok();
        Some(Stat {
            parent: fields.get(1)?.parse().ok()?,
            user_ticks: ticks(11)? + ticks(13)?,
            system_ticks: ticks(12)? + ticks(14)?,
            born: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let line = "42 (a) b) S 7 42 42 0 -1 4194560 1 2 3 4 10 20 1 2 20 0 3 0 999 5 6";
        let stat = Stat::parse(line).unwrap_or_default();
        assert_eq!((stat.parent, stat.born), (7, 999));
        assert_eq!((stat.user_ticks, stat.system_ticks), (11.0, 22.0));
    }
}
