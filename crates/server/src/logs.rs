//! Log lines: for people or for machines, to standard error. Never a prompt, a key or a body.

use std::panic::Location;

use tollgate_gateway::config::{LogFormat, LogLevel};
use tracing::error;
use tracing_subscriber::EnvFilter;

/// The variable whose filter counts more than anything that is configured, as `info` or
/// `tollgate_router=debug`.
const VARIABLE: &str = "TOLLGATE_LOG";

/// Starts logging. Only the first call counts.
pub(crate) fn start(format: LogFormat, level: LogLevel) {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(level.name()));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error says that somebody was first: the demo, or a test.
    let _ = match format {
        LogFormat::Human => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    std::panic::set_hook(Box::new(|panic| tell(panic.location())));
}

/// Tells of a panic by its place alone: its own words may quote a prompt.
fn tell(place: Option<&Location<'_>>) {
    let file = place.map_or("", |place| place.file().rsplit('/').next().unwrap_or_default());
    let line = place.map_or(0, Location::line);
    error!(file, line, "a bug: something panicked in {file}, line {line}");
}
