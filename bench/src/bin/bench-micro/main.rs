//! One piece of the hot path, again and again, for a tool that counts instructions.
//!
//! `bench-micro --list` names the cases, each with the number of iterations that makes a steady
//! figure; `bench-micro CASE N` runs one `N` times. Counted at `N` and at `2N`, the difference is
//! the case without its set-up. `cargo xtask bench --micro` does that for all of them.

mod cases;

use std::io::Write;

use anyhow::Context;
use clap::Parser;

// As in Tollgate itself: a good part of what is counted is allocation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs one piece of the hot path again and again.
#[derive(Debug, Parser)]
struct Args {
    /// Name the cases, each with a number of iterations.
    #[arg(long)]
    list: bool,
    /// The case.
    #[arg(required_unless_present = "list")]
    case: Option<String>,
    /// How often.
    #[arg(default_value_t = 1)]
    iterations: u32,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if args.list {
        let mut out = std::io::stdout().lock();
        for case in cases::CASES {
            writeln!(out, "{}\t{}", case.name, case.iterations)?;
        }
        return Ok(());
    }
    let name = args.case.unwrap_or_default();
    let case = cases::CASES.iter().find(|case| case.name == name);
    let mut work = (case.context("no such case; see --list")?.set_up)()?;
    for _ in 0..args.iterations {
        work()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::cases;

    #[test]
    fn every_case_works() -> anyhow::Result<()> {
        for case in cases::CASES {
            let mut work = (case.set_up)()?;
            for _ in 0..200 {
                work().map_err(|e| e.context(case.name))?;
            }
        }
        Ok(())
    }
}
