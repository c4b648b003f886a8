//! Tasks of the workspace.

mod bench;
mod catalogue;
mod dist;
mod fuzz;
mod test;
mod tidy;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;

/// Tasks of the workspace.
#[derive(Debug, Parser)]
enum Task {
    /// Measure CPU, latency and memory beside a bare proxy, or count instructions.
    Bench(bench::Args),
    Catalogue(catalogue::Args),
    Dist(dist::Args),
    Fuzz(fuzz::Args),
    Test(test::Args),
    Tidy(tidy::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Task::parse() {
        Task::Bench(args) => bench::run(&args).map(|()| ExitCode::SUCCESS),
        Task::Catalogue(args) => catalogue::run(&args),
        Task::Dist(args) => dist::run(&args).map(|()| ExitCode::SUCCESS),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Tidy(args) => tidy::run(&args),
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge: tasks are steered by their environment")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
