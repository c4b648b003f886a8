//! The real binary as a child process: started with a configuration, ready when `start` returns,
//! killed when dropped.

use std::{
    any::Any,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The master key that [`Builder`] sets where the test names none.
pub const MASTER_KEY: &str = "sk-master-of-the-tests-0123456789abcdef";

/// Longest wait for the binary to become ready, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a Tollgate is to be started.
#[derive(Debug)]
pub struct Builder {
    binary: PathBuf,
    config: Option<String>,
    env: Vec<(String, String)>,
    args: Vec<String>,
    database: Option<String>,
    master_key: Option<String>,
    /// Dropped after the process has ended.
    kept: Vec<Arc<dyn Any + Send + Sync>>,
}

/// A running Tollgate.
pub struct Tollgate {
    builder: Builder,
    dir: Arc<TempDir>,
    child: Child,
    url: String,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
}

impl Tollgate {
    /// Prepares a start of this binary; pass `env!("CARGO_BIN_EXE_tollgate")`.
    pub fn binary(path: impl Into<PathBuf>) -> Builder {
        Builder {
            binary: path.into(),
            config: None,
            env: Vec::new(),
            args: Vec::new(),
            database: None,
            master_key: Some(MASTER_KEY.to_owned()),
            kept: Vec::new(),
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The admin key it was started with; empty where the test asked for none.
    pub fn master_key(&self) -> &str {
        self.builder.master_key.as_deref().unwrap_or_default()
    }

    /// The folder of its configuration and, by default, of its database.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its database.
    pub fn database_url(&self) -> String {
        self.builder.database_url(self.dir())
    }

    /// Its configuration file; write to it to test a reload.
    pub fn config_path(&self) -> PathBuf {
        self.dir().join("config.yaml")
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Resident memory in KiB.
    pub fn rss_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the process lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|n| n.parse().ok()).expect("VmRSS in /proc/PID/status")
    }

    /// Open file descriptors.
    pub fn open_files(&self) -> usize {
        let fds = std::fs::read_dir(format!("/proc/{}/fd", self.pid()));
        fds.expect("the process lives").count()
    }

    /// Sends SIGHUP: reload.
    pub fn hangup(&self) {
        self.signal(Signal::HUP);
    }

    /// Sends SIGTERM without waiting.
    pub fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGINT without waiting.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Sends SIGSTOP: the process stands still until [`Tollgate::resume`].
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Sends SIGCONT.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), signal).expect("signal the process");
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.ask_to_stop();
        self.wait(PATIENCE)
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for the process to end by itself.
    ///
    /// # Panics
    /// Where it takes longer than that.
    pub fn wait(&mut self, longest: Duration) -> ExitStatus {
        wait(&mut self.child, longest).unwrap_or_else(|| {
            panic!("tollgate still runs after {longest:?}\n{}", self.stderr());
        })
    }

    /// The exit status, where it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("ask for the exit status")
    }

    /// Starts it again on the same folder and database, after [`Tollgate::kill9`] or
    /// [`Tollgate::terminate`]. The port is a new one.
    pub async fn start_again(self) -> Tollgate {
        let mut old = self;
        old.kill9();
        let builder = std::mem::replace(&mut old.builder, Tollgate::binary(""));
        let dir = Arc::clone(&old.dir);
        drop(old);
        builder.start_in(dir).await
    }
}

impl Drop for Tollgate {
    fn drop(&mut self) {
        self.kill9();
        if thread::panicking() {
            eprint_tail("stdout", &self.stdout());
            eprint_tail("stderr", &self.stderr());
        }
    }
}

#[expect(clippy::print_stderr, reason = "a failed test shows what the server said")]
fn eprint_tail(name: &str, text: &str) {
    let tail = text.char_indices().rev().nth(8000).map_or(0, |(at, _)| at);
    eprintln!("--- tollgate's {name} ---\n{}", text.get(tail..).unwrap_or_default());
}

impl Builder {
    /// With this configuration file. Without one, Tollgate is started without `--config`.
    pub fn config(mut self, text: impl Into<String>) -> Self {
        self.config = Some(text.into());
        self
    }

    /// With this environment variable. Nothing is inherited but PATH.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// With one more argument after those of `serve`.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// With this database URL; by default an SQLite file in a temporary folder.
    pub fn database(mut self, url: impl Into<String>) -> Self {
        self.database = Some(url.into());
        self
    }

    /// Keeps what it depends on, such as a database of its own, until it has ended for good.
    pub fn keep(mut self, thing: impl Any + Send + Sync) -> Self {
        self.kept.push(Arc::new(thing));
        self
    }

    /// With this master key in the environment.
    pub fn master_key(mut self, key: impl Into<String>) -> Self {
        self.master_key = Some(key.into());
        self
    }

    /// Without a master key in the environment.
    pub fn no_master_key(mut self) -> Self {
        self.master_key = None;
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// Where it ends or does not become ready within half a minute; shows what it wrote.
    pub async fn start(self) -> Tollgate {
        let dir = tempfile::Builder::new().prefix("tollgate-test-").tempdir();
        self.start_in(Arc::new(dir.expect("make a folder for tollgate"))).await
    }

    async fn start_in(self, dir: Arc<TempDir>) -> Tollgate {
        // The wait is blocking, and an upstream of the test may have to answer meanwhile.
        let started = tokio::task::spawn_blocking(move || self.launch(dir)).await;
        match started.expect("the start does not panic") {
            Ok(gate) => gate,
            Err(why) => panic!("{why}"),
        }
    }

    /// Starts it where it is expected to refuse, and gives exit status, stdout and stderr.
    ///
    /// # Panics
    /// Where it runs for more than half a minute.
    pub fn run_to_end(self) -> (ExitStatus, String, String) {
        let dir = tempfile::tempdir().expect("make a folder for tollgate");
        let mut child = self.command(dir.path()).spawn().expect("start tollgate");
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        let Some(status) = wait(&mut child, PATIENCE) else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("tollgate should have refused to start\n{}", text(&stderr.0));
        };
        let _ = stdout.1.join();
        let _ = stderr.1.join();
        (status, text(&stdout.0), text(&stderr.0))
    }

    fn database_url(&self, dir: &Path) -> String {
        let sqlite = || format!("sqlite://{}", dir.join("tollgate.db").display());
        self.database.clone().unwrap_or_else(sqlite)
    }

    fn command(&self, dir: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("serve").env_clear().env("HOME", dir).current_dir(dir);
        if let Ok(path) = std::env::var("PATH") {
            command.env("PATH", path);
        }
        if let Some(text) = &self.config {
            let file = dir.join("config.yaml");
            std::fs::write(&file, text).expect("write the configuration");
            command.arg("--config").arg(file);
        }
        command.args(["--host", "127.0.0.1", "--port", "0", "--database"]);
        command.arg(self.database_url(dir)).args(&self.args);
        if let Some(key) = &self.master_key {
            command.env("LITELLM_MASTER_KEY", key);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn launch(self, dir: Arc<TempDir>) -> Result<Tollgate, String> {
        let mut child = self.command(dir.path()).spawn().expect("start tollgate");
        let stdout = collect(child.stdout.take()).0;
        let stderr = collect(child.stderr.take()).0;
        // From here on a failure kills the child by dropping it.
        let mut gate = Tollgate { builder: self, dir, child, url: String::new(), stdout, stderr };
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = gate.ended() {
                thread::sleep(Duration::from_millis(50));
                return Err(format!(
                    "tollgate ended with {status}\n{}\n{}",
                    gate.stdout(),
                    gate.stderr()
                ));
            }
            if gate.url.is_empty() {
                let found = listening(&gate.stdout()).or_else(|| listening(&gate.stderr()));
                gate.url = found.unwrap_or_default();
            } else if ready(&gate.url) {
                return Ok(gate);
            }
            thread::sleep(Duration::from_millis(2));
        }
        Err(format!("tollgate is not ready after {PATIENCE:?}\n{}", gate.stderr()))
    }
}

/// The URL in the line `… listening on http://127.0.0.1:PORT`.
fn listening(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("listening on http://")?;
    // Without the end of the line, the port may not be complete yet.
    let (line, _) = rest.split_once('\n')?;
    let host = line.split(|c: char| c.is_whitespace() || c == '"' || c == '\u{1b}').next()?;
    Some(format!("http://{}", host.trim_end_matches('/')))
}

fn ready(url: &str) -> bool {
    let Some(host) = url.strip_prefix("http://") else { return false };
    let Ok(mut socket) = TcpStream::connect(host) else { return false };
    let _ = socket.set_read_timeout(Some(Duration::from_secs(5)));
    let request =
        format!("GET /health/readiness HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    if socket.write_all(request.as_bytes()).is_err() {
        return false;
    }
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).is_ok() && answer.ends_with(b" 200")
}

fn wait(child: &mut Child, longest: Duration) -> Option<ExitStatus> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("ask for the exit status") {
            return Some(status);
        }
        if begin.elapsed() > longest {
            return None;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

type Collected = (Arc<Mutex<String>>, thread::JoinHandle<()>);

fn collect(pipe: Option<impl Read + Send + 'static>) -> Collected {
    let text = Arc::new(Mutex::new(String::new()));
    let shared = Arc::clone(&text);
    let pipe = BufReader::new(pipe.expect("the pipe was asked for"));
    let reader = thread::spawn(move || {
        for line in pipe.split(b'\n').map_while(Result::ok) {
            let mut text = shared.lock().expect("not poisoned");
            text.push_str(&String::from_utf8_lossy(&line));
            text.push('\n');
        }
    });
    (text, reader)
}

fn text(shared: &Mutex<String>) -> String {
    shared.lock().expect("not poisoned").clone()
}

#[cfg(test)]
mod tests {
    use super::{Tollgate, listening};

    #[test]
    fn finds_the_url_in_a_log() {
        let line = "2026-01-01 INFO listening on http://127.0.0.1:4711\n";
        assert_eq!(listening(line).as_deref(), Some("http://127.0.0.1:4711"));
        let json = "{\"message\":\"listening on http://127.0.0.1:4711\"}\n";
        assert_eq!(listening(json).as_deref(), Some("http://127.0.0.1:4711"));
        assert_eq!(listening("listening on http://127.0.0.1:47"), None);
        assert_eq!(listening("starting\n"), None);
    }

    #[test]
    fn a_refusal_to_start_is_seen() {
        let (status, stdout, _) = Tollgate::binary("/bin/echo").run_to_end();
        assert!(status.success());
        assert!(stdout.starts_with("serve --host 127.0.0.1 --port 0 --database sqlite://"));
    }
}
