//! The official SDKs against the real binary: `tests/clients/python` and `tests/clients/node`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context;

use super::{
    Places, postgres, say,
    suite::{Counts, Outcome, number_before, prepare, run},
};

/// Longest time for one suite of SDK tests.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Longest time for an installation.
const INSTALL_LIMIT: Duration = Duration::from_secs(15 * 60);

pub(super) fn suites(places: &Places) -> Vec<Outcome> {
    vec![python(places), node(places)]
}

fn python(places: &Places) -> Outcome {
    const NAME: &str = "Python: openai, litellm, anthropic, google-genai, cohere";
    let suite = places.root.join("tests/clients/python");
    let python = match venv(places, &suite) {
        Ok(python) => python,
        Err(why) => return Outcome::unable(NAME, &why.context(NO_PYTHON)),
    };
    let mut pytest = Command::new(python);
    pytest.args(["-m", "pytest", "--color=no"]).current_dir(suite);
    pytest.env("CARGO_TARGET_DIR", &places.target).env("PYTHONDONTWRITEBYTECODE", "1");
    run(NAME, &mut pytest, LIMIT, count_pytest)
}

const NO_PYTHON: &str = "the Python SDKs could not be installed: this needs python3 with venv \
    (Debian: python3-venv) and, the first time, the network; `cargo xtask test --fast` does without";

const NO_NODE: &str = "the Node SDK could not be installed: this needs Node 20 or newer with npm \
    (Debian: nodejs npm) and, the first time, the network; `cargo xtask test --fast` does without";

/// The Python of an environment that holds exactly what the requirements say.
fn venv(places: &Places, suite: &Path) -> anyhow::Result<PathBuf> {
    let venv = places.target.join("clients-venv");
    let python = venv.join("bin/python");
    let wanted = suite.join("requirements.txt");
    let stamp = venv.join("requirements-installed.txt");
    if same(&wanted, &stamp) {
        return Ok(python);
    }
    say("installing the Python SDKs");
    if venv.exists() {
        fs::remove_dir_all(&venv).context("cannot remove the old environment")?;
    }
    let make = || prepare(Command::new("python3").args(["-m", "venv"]).arg(&venv), INSTALL_LIMIT);
    if make().is_err() {
        postgres::install(&["python3", "python3-venv"])?;
        make()?;
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "-r"]);
    prepare(pip.arg(&wanted), INSTALL_LIMIT)?;
    fs::copy(&wanted, &stamp).context("cannot note what is installed")?;
    Ok(python)
}

fn node(places: &Places) -> Outcome {
    const NAME: &str = "Node: openai, anthropic";
    let suite = places.root.join("tests/clients/node");
    if let Err(why) = modules(&suite) {
        return Outcome::unable(NAME, &why.context(NO_NODE));
    }
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=tap"]).current_dir(suite);
    node.env("CARGO_TARGET_DIR", &places.target);
    run(NAME, &mut node, LIMIT, count_tap)
}

fn modules(suite: &Path) -> anyhow::Result<()> {
    let wanted = suite.join("package-lock.json");
    let stamp = suite.join("node_modules/package-lock-installed.json");
    if same(&wanted, &stamp) {
        return Ok(());
    }
    if Command::new("npm").arg("--version").output().is_err() {
        postgres::install(&["nodejs", "npm"])?;
    }
    say("installing the Node SDK");
    let words = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
    prepare(Command::new("npm").args(words).current_dir(suite), INSTALL_LIMIT)?;
    fs::copy(&wanted, &stamp).context("cannot note what is installed")?;
    Ok(())
}

fn same(one: &Path, other: &Path) -> bool {
    match (fs::read(one), fs::read(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// `2 failed, 97 passed, 1 error in 24.80s`, the last such line.
fn count_pytest(printed: &str) -> Counts {
    let line = printed.lines().rev().find(|line| line.contains(" in ") && line.contains('s'));
    let line = line.unwrap_or_default();
    let errors = number_before(line, "error") + number_before(line, "errors");
    Counts { passed: number_before(line, "passed"), failed: number_before(line, "failed") + errors }
}

/// `# pass 11`, `# fail 3`, `# cancelled 0` at the end of TAP.
fn count_tap(printed: &str) -> Counts {
    let number = |word: &str| -> u64 {
        let line = printed.lines().rev().find_map(|line| line.strip_prefix(word));
        line.and_then(|rest| rest.trim().parse().ok()).unwrap_or(0)
    };
    Counts { passed: number("# pass "), failed: number("# fail ") + number("# cancelled ") }
}

#[cfg(test)]
mod tests {
    use super::{Counts, count_pytest, count_tap};

    #[test]
    fn counts_what_pytest_says() {
        let text = "....F\nFAILED test_x.py::test_in_s\n2 failed, 97 passed, 1 warning, 1 error in 24.80s\n";
        assert_eq!(count_pytest(text), Counts { passed: 97, failed: 3 });
        assert_eq!(count_pytest("==== 5 passed in 1.00s (0:00:01) ====").passed, 5);
        assert_eq!(count_pytest("ImportError"), Counts::default());
    }

    #[test]
    fn counts_what_node_says() {
        let text = "ok 1 - x\n# tests 4\n# pass 2\n# fail 1\n# cancelled 1\n# skipped 0\n";
        assert_eq!(count_tap(text), Counts { passed: 2, failed: 2 });
    }
}
