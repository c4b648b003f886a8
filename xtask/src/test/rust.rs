//! The Rust suites: all targets, then the examples in the documentation.

use std::{process::Command, time::Duration};

use super::{
    Places, cargo, say,
    suite::{Counts, Outcome, number_before, prepare, run},
};

/// Longest time for building and running all Rust tests.
const LIMIT: Duration = Duration::from_secs(75 * 60);

/// Builds the programs that the tests start.
pub(super) fn build(places: &Places) -> anyhow::Result<()> {
    say("building the programs that the tests start");
    let mut build = cargo();
    build.args(["build", "--workspace", "--bins", "--examples", "--color=never"]);
    prepare(build.current_dir(&places.root), LIMIT)
}

pub(super) fn suites(places: &Places, postgres: Option<&str>) -> Vec<Outcome> {
    let at_root = |words: &[&str]| {
        let mut command = cargo();
        command.args(words).current_dir(&places.root).env_remove("TOLLGATE_TEST_DATABASE");
        if let Some(url) = postgres {
            command.env("TOLLGATE_TEST_POSTGRES", url);
        } else {
            command.env_remove("TOLLGATE_TEST_POSTGRES");
        }
        command
    };
    let has_nextest = has_nextest();
    if !has_nextest {
        say("cargo-nextest is not installed: using `cargo test`, which is slower");
    }
    let tests = |what: &[&str]| {
        let how: &[&str] = &["--no-fail-fast", "--color=never"];
        let runner: &[&str] = if has_nextest { &["nextest", "run"] } else { &["test"] };
        at_root(&[runner, what, how].concat())
    };
    let all: &[&str] =
        if has_nextest { &["--workspace"] } else { &["--workspace", "--lib", "--bins", "--tests"] };
    let count = if has_nextest { count_nextest } else { count_libtest };
    let name = if postgres.is_some() { "Rust, both databases" } else { "Rust, SQLite alone" };
    let mut outcomes = vec![run(name, &mut tests(all), LIMIT, count)];
    if postgres.is_some() {
        // What was run on SQLite just now.
        let mut whole = tests(&["-p", "tollgate-server", "--test", "it"]);
        whole.env("TOLLGATE_TEST_DATABASE", "postgres");
        outcomes.push(run("The binary on PostgreSQL", &mut whole, LIMIT, count));
    }
    let docs = ["test", "--workspace", "--doc", "--no-fail-fast", "--color=never"];
    let mut docs = run("Rust, examples in the docs", &mut at_root(&docs), LIMIT, count_libtest);
    // A workspace without such examples is no failure.
    if docs.note.as_deref() == Some("it ran no test") {
        docs.failed = 0;
    }
    outcomes.push(docs);
    outcomes
}

fn has_nextest() -> bool {
    let mut ask: Command = cargo();
    ask.args(["nextest", "--version"]);
    ask.output().is_ok_and(|output| output.status.success())
}

/// `Summary [ 0.170s] 21 tests run: 19 passed (1 slow), 1 failed, 1 timed out, 0 skipped`
fn count_nextest(printed: &str) -> Counts {
    let Some((_, rest)) = printed.rsplit_once("tests run:").or(printed.rsplit_once("test run:"))
    else {
        return Counts::default();
    };
    let line = rest.lines().next().unwrap_or_default();
    let timed_out = line.split(',').find(|part| part.contains("timed out"));
    let timed_out = timed_out.map_or(0, |part| number_before(part, "timed"));
    Counts {
        passed: number_before(line, "passed"),
        failed: number_before(line, "failed") + number_before(line, "exec") + timed_out,
    }
}

/// `test result: ok. 3 passed; 0 failed; …`, once per binary.
fn count_libtest(printed: &str) -> Counts {
    let mut counts = Counts::default();
    for line in printed.lines().filter(|line| line.starts_with("test result:")) {
        counts.passed += number_before(line, "passed");
        counts.failed += number_before(line, "failed");
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::{Counts, count_libtest, count_nextest};

    #[test]
    fn counts_what_nextest_says() {
        let line = "     Summary [  0.170s] 23 tests run: 19 passed (1 slow), 2 failed, 1 timed out, 1 exec failed, 4 skipped";
        assert_eq!(count_nextest(line), Counts { passed: 19, failed: 4 });
        assert_eq!(count_nextest("Summary [ 1s] 1 test run: 1 passed, 0 skipped").passed, 1);
        assert_eq!(count_nextest("error: could not compile"), Counts::default());
    }

    #[test]
    fn counts_what_cargo_test_says() {
        let text = "test result: ok. 3 passed; 0 failed; 0 ignored\nx\ntest result: FAILED. 1 passed; 2 failed; 0 ignored\n";
        assert_eq!(count_libtest(text), Counts { passed: 4, failed: 2 });
    }
}
