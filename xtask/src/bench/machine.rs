//! The machine that measures: which cores there are for whom, and who else is at work on it.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

/// Linux counts CPU time towards programs in hundredths of a second.
pub(super) const TICKS_PER_S: f64 = 100.0;

/// Cores of other work that a measurement bears.
const QUIET: f64 = 0.2;

/// Who runs on which cores, as `taskset` takes it.
#[derive(Debug, Clone)]
pub(super) struct Pins {
    pub(super) gateway: Option<String>,
    pub(super) upstream: Option<String>,
    pub(super) load: Option<String>,
    /// The load generator has a core of its own, so it may spin.
    pub(super) own_core: bool,
    /// The same in a few words, for the reader of the table.
    pub(super) told: String,
    /// The processor and how many cores of it there are.
    pub(super) machine: String,
}

impl Pins {
    /// Two cores for the gateway, one for the upstream and one for the load generator; with fewer
    /// than four cores, as near to that as can be.
    pub(super) fn choose() -> Pins {
        let cores = allowed_cores();
        let none = |told: &str| Pins {
            gateway: None,
            upstream: None,
            load: None,
            own_core: false,
            told: format!("not pinned: {told}"),
            machine: describe(cores.len()),
        };
        let has_taskset = Command::new("taskset").arg("-V").output().is_ok();
        if !has_taskset {
            return none("there is no `taskset` here");
        }
        let pins = |gateway: String, upstream: u32, load: u32, told: String| Pins {
            gateway: Some(gateway),
            upstream: Some(upstream.to_string()),
            load: Some(load.to_string()),
            own_core: upstream != load,
            told,
            machine: describe(cores.len()),
        };
        match cores.as_slice() {
            [a, b, c, d, ..] => pins(
                format!("{a},{b}"),
                *c,
                *d,
                format!("gateway on cores {a} and {b}, upstream on {c}, load generator on {d}"),
            ),
            [a, b, ..] => pins(
                a.to_string(),
                *b,
                *b,
                format!(
                    "only {} cores: gateway on {a}, upstream and load generator on {b}; rates \
                     and latencies mean little, CPU per request still compares",
                    cores.len()
                ),
            ),
            _ => none("one core, where only CPU per request means much"),
        }
    }
}

/// While it lives, this process runs where the load generator does: it waits while that works, so it
/// may as well do so on that core.
pub(super) struct Aside {
    /// Where it may run otherwise.
    cores: String,
}

impl Aside {
    /// Steps aside, where programs are pinned.
    pub(super) fn step(pins: &Pins) -> Option<Self> {
        let load = pins.load.as_deref()?;
        let aside = Aside { cores: allowed_list() };
        move_to(load);
        Some(aside)
    }
}

impl Drop for Aside {
    // What is built or pinned next is to find all cores again.
    fn drop(&mut self) {
        move_to(&self.cores);
    }
}

fn move_to(cores: &str) {
    let pid = std::process::id().to_string();
    let _moved = Command::new("taskset").args(["-c", "-p", cores, &pid]).output();
}

/// The cores that this process may use.
fn allowed_cores() -> Vec<u32> {
    parse_cores(&allowed_list())
}

fn allowed_list() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.unwrap_or_default().trim().to_owned()
}

/// Reads `0-2,5`.
fn parse_cores(list: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<u32>().ok()?..=last.trim().parse::<u32>().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// CPU time that the whole machine has spent, its host's theft included.
pub(super) fn busy_s() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_ascii_whitespace().skip(1);
    let idle = [3, 4];
    let busy = fields.take(8).enumerate().filter(|(n, _)| !idle.contains(n));
    busy.filter_map(|(_, ticks)| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_S
}

/// Waits until nobody else is at work, but no longer than `patience`.
pub(super) fn wait_for_quiet(patience: Duration) {
    let until = Instant::now() + patience;
    let step = Duration::from_millis(250);
    while Instant::now() < until {
        let before = busy_s();
        std::thread::sleep(step);
        if (busy_s() - before) / step.as_secs_f64() < QUIET {
            return;
        }
    }
}

fn describe(cores: usize) -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name"));
    let name = name.and_then(|rest| rest.split_once(':')).map_or("unknown CPU", |(_, n)| n.trim());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{name}, {cores} cores, Linux {}", kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_steps_aside_comes_back() {
        let before = allowed_cores();
        let pins = Pins::choose();
        let aside = Aside::step(&pins);
        if let Some(load) = &pins.load {
            assert_eq!(allowed_list(), *load);
        }
        drop(aside);
        assert_eq!(allowed_cores(), before);
    }

    #[test]
    fn lists_of_cores_are_read() {
        assert_eq!(parse_cores("0-2,5"), [0, 1, 2, 5]);
        assert_eq!(parse_cores("7"), [7]);
        assert_eq!(parse_cores(""), [0_u32; 0]);
    }
}
