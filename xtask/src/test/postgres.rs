//! A PostgreSQL of the tests' own: in a temporary folder, on a free port of the loopback, gone
//! afterwards.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tempfile::TempDir;

use super::{say, suite::prepare};

/// Longest wait for the server to answer or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest time for installing packages.
const INSTALL_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Not a secret: the server listens on the loopback and trusts everybody.
const USER: &str = "tollgate";

/// A running server; ended and removed when dropped.
pub(super) struct Postgres {
    child: Child,
    url: String,
    folder: TempDir,
}

impl Postgres {
    pub(super) fn start() -> anyhow::Result<Self> {
        let bin = match programs() {
            Some(bin) => bin,
            None => {
                install_server().context(
                    "PostgreSQL is not installed and could not be (Debian: postgresql); \
                     `cargo xtask test --fast` does without",
                )?;
                programs().context("PostgreSQL was installed, but its programs are not found")?
            }
        };
        // In the system's own temporary folder: its user may not reach into the repository.
        let folder = tempfile::Builder::new().prefix("tollgate-postgres-").tempdir()?;
        let owner = owner()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700))?;
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group))?;
        }
        let data = folder.path().join("data");
        let program = |name: &str| {
            let mut command = Command::new(bin.join(name));
            command.current_dir(folder.path());
            if let Some((user, group)) = owner {
                command.uid(user).gid(group);
            }
            command
        };
        let words = ["-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-U", USER, "-D"];
        prepare(program("initdb").args(words).arg(&data), PATIENCE)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut server = program("postgres");
        server.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        server.arg("-k").arg(folder.path());
        for setting in
            ["fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=300"]
        {
            server.args(["-c", setting]);
        }
        let log = fs::File::create(folder.path().join("log"))?;
        server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = server.spawn().context("cannot start PostgreSQL")?;
        let url = format!("postgres://{USER}@127.0.0.1:{port}/postgres");
        let mut postgres = Postgres { child, url, folder };
        postgres.wait(&bin, port)?;
        say(&format!("PostgreSQL of these tests: {}", postgres.url));
        Ok(postgres)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    fn wait(&mut self, bin: &Path, port: u16) -> anyhow::Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                bail!("PostgreSQL ended with {status}\n{log}");
            }
            let mut ask = Command::new(bin.join("pg_isready"));
            ask.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string(), "-U", USER]);
            if ask.status().is_ok_and(|status| status.success()) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("PostgreSQL does not answer after {} s", PATIENCE.as_secs())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT is its fast shutdown: all its processes end and its shared memory is given back.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-INT", &pid]).status();
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder that holds `initdb`, `postgres` and `pg_isready`; the newest where there are several.
fn programs() -> Option<PathBuf> {
    let whole = |bin: &PathBuf| {
        ["initdb", "postgres", "pg_isready"].iter().all(|name| bin.join(name).is_file())
    };
    let path = crate::variable("PATH").unwrap_or_default();
    if let Some(bin) = std::env::split_paths(&path).find(whole) {
        return Some(bin);
    }
    // Where Debian keeps them, outside of PATH.
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let version = |bin: &PathBuf| {
        let name = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        name.and_then(|name| name.parse::<u32>().ok())
    };
    versions.flatten().map(|entry| entry.path().join("bin")).filter(whole).max_by_key(version)
}

/// PostgreSQL refuses to run as root: the user and group it runs as instead.
fn owner() -> anyhow::Result<Option<(u32, u32)>> {
    if id(&["-u"])? != 0 {
        return Ok(None);
    }
    let user = if id(&["-u", "postgres"]).is_ok() { "postgres" } else { "nobody" };
    Ok(Some((id(&["-u", user])?, id(&["-g", user])?)))
}

fn id(words: &[&str]) -> anyhow::Result<u32> {
    let output = Command::new("id").args(words).output().context("cannot ask `id`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("`id {}` gave no number", words.join(" ")))
}

fn install_server() -> anyhow::Result<()> {
    say("installing PostgreSQL");
    install(&["postgresql-common"])?;
    // Debian's package would make and start a server of its own on the usual port.
    let settings = Path::new("/etc/postgresql-common/createcluster.conf");
    if let Ok(text) = fs::read_to_string(settings) {
        fs::write(settings, format!("{text}\ncreate_main_cluster = false\n"))?;
    }
    install(&["postgresql"])
}

/// Installs Debian packages, where this is Debian and we may.
pub(super) fn install(packages: &[&str]) -> anyhow::Result<()> {
    if Command::new("apt-get").arg("--version").output().is_err() {
        bail!("there is no apt-get here: install {} yourself", packages.join(" "));
    }
    if id(&["-u"])? != 0 {
        bail!("only root may install: `sudo apt-get install {}`", packages.join(" "));
    }
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(words);
        prepare(&mut command, INSTALL_LIMIT)
    };
    let mut words = vec!["install", "-y", "-qq", "--no-install-recommends"];
    words.extend(packages);
    // The lists may be there and fresh; fetching them takes longer than the packages.
    if apt(&words).is_ok() {
        return Ok(());
    }
    apt(&["update", "-qq"])?;
    apt(&words)
}
