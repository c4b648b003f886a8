//! `cargo xtask dist`: the binary as it is published.
//!
//! It is built twice: first with counters in it, to see what it does under the benchmark's loads, then
//! with what they counted, so that what is hot stands together and what is not stands aside
//! (<https://doc.rust-lang.org/rustc/profile-guided-optimization.html>).

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use crate::bench;

/// Build the binary as it is published: with a profile of its own work.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// What the benchmark needs beside Tollgate.
const TOOLS: [&str; 2] = ["bench-load", "bench-upstream"];

const NO_PROFDATA: &str = "llvm-profdata is missing; `rustup component add llvm-tools` installs it";

pub(crate) fn run(_args: &Args) -> anyhow::Result<()> {
    let root = bench::root()?;
    let binary = build(&root)?;
    let size = fs::metadata(&binary)?.len();
    let shown = binary.strip_prefix(&root).unwrap_or(&binary).display();
    writeln!(std::io::stdout(), "{shown}, {:.1} MB", size as f64 / 1e6)?;
    Ok(())
}

/// What is missing to build it, and how to get it.
pub(crate) fn missing() -> anyhow::Result<Option<&'static str>> {
    Ok((!Rustc::ask()?.profdata.exists()).then_some(NO_PROFDATA))
}

/// Builds it; gives its path.
pub(crate) fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let rustc = Rustc::ask()?;
    ensure!(rustc.profdata.exists(), NO_PROFDATA);
    let tools = bench::build(root, &TOOLS)?;
    let folder = tools.parent().context("a target folder")?.join("pgo");
    let counts = folder.join("counts");
    let profile = folder.join("tollgate.profdata");

    let flag = format!("-Cprofile-generate={}", counts.display());
    let counting = rustc.build(root, &folder.join("counting"), &flag)?;
    if !is_newer(&profile, &counting)? {
        if counts.exists() {
            fs::remove_dir_all(&counts)?;
        }
        fs::create_dir_all(&counts)?;
        bench::exercise(&tools, &counting)?;
        let mut merge = Command::new(&rustc.profdata);
        merge.arg("merge").arg("--output").arg(&profile).arg(&counts);
        ensure!(merge.status()?.success(), "the counts could not be merged");
    }
    rustc.build(root, &folder, &format!("-Cprofile-use={}", profile.display()))
}

/// Whether `one` was written after `other`, so that nothing has to be counted again.
fn is_newer(one: &Path, other: &Path) -> anyhow::Result<bool> {
    Ok(one.exists() && fs::metadata(one)?.modified()? > fs::metadata(other)?.modified()?)
}

/// The compiler, and what comes with it.
struct Rustc {
    host: String,
    profdata: PathBuf,
}

impl Rustc {
    fn ask() -> anyhow::Result<Self> {
        let rustc = crate::variable("RUSTC").unwrap_or_else(|| "rustc".into());
        let said = |words: &[&str]| -> anyhow::Result<String> {
            let output = Command::new(&rustc).args(words).output().context("rustc")?;
            Ok(String::from_utf8(output.stdout)?)
        };
        let version = said(&["-vV"])?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("rustc does not say which machine it builds for")?.to_owned();
        let sysroot = said(&["--print", "sysroot"])?;
        let profdata = Path::new(sysroot.trim())
            .join(format!("lib/rustlib/{host}/bin/llvm-profdata{}", env::consts::EXE_SUFFIX));
        Ok(Rustc { host, profdata })
    }

    /// Builds Tollgate with one more flag, which build scripts and macros do not get.
    fn build(&self, root: &Path, target: &Path, flag: &str) -> anyhow::Result<PathBuf> {
        let mut cargo = Command::new(crate::variable("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(root).args([
            "build",
            "--profile",
            "dist",
            "--package",
            "tollgate-server",
        ]);
        cargo.args(["--bin", "tollgate", "--target", &self.host]);
        cargo.arg("--target-dir").arg(target).env("CARGO_ENCODED_RUSTFLAGS", flag);
        ensure!(cargo.status()?.success(), "the build failed");
        let name = format!("tollgate{}", env::consts::EXE_SUFFIX);
        Ok(target.join(&self.host).join("dist").join(name))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use clap::{Args as _, Command};

    use super::is_newer;

    #[test]
    fn what_was_counted_before_the_last_build_is_old() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let (profile, binary) = (dir.path().join("profile"), dir.path().join("binary"));
        fs::write(&binary, "")?;
        assert!(!is_newer(&profile, &binary)?);
        fs::write(&profile, "")?;
        let later = fs::metadata(&binary)?.modified()? + Duration::from_secs(1);
        fs::File::open(&profile)?.set_modified(later)?;
        assert!(is_newer(&profile, &binary)?);
        fs::File::open(&binary)?.set_modified(later)?;
        assert!(!is_newer(&profile, &binary)?);
        Ok(())
    }

    #[test]
    fn the_command_line_is_sound() {
        super::Args::augment_args(Command::new("dist")).debug_assert();
    }
}
