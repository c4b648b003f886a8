//! `tollgate`: the gateway, its administration, and a command line to all of it.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests may"))]

mod api;
mod cli;
mod demo;
mod listen;
mod logs;
mod models;
mod patience;
mod query;
mod routes;
mod serve;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    // Everything that is not a request's own work: administration, database, reloads. Requests
    // have their own cores, see `listen.rs`.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("cold")
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(cli::run(cli)),
        Err(error) => cli::fail(&error.into()),
    }
}
