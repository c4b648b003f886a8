//! What is measured, how it is configured and how it is started.

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    machine::Pins,
    phases::MODELS,
    process::{Line, Server},
};

/// Keys that Tollgate knows; the load uses all of them in turn.
const KEYS: usize = 10_000;

/// Each gateway is started so often; the median counts.
const STARTS: usize = 3;

/// How long a start may take.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// The admin key of this run's Tollgate.
const MASTER_KEY: &str = "sk-bench-master-0f1e2d3c4b5a69788796a5b4c3d2e1f0";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Gateway {
    /// Nothing: the upstream itself.
    Direct,
    /// A bare hyper proxy.
    Proxy,
    Nginx,
    Tollgate,
}

impl Gateway {
    pub(super) fn name(self) -> &'static str {
        match self {
            Gateway::Direct => "direct",
            Gateway::Proxy => "bare proxy",
            Gateway::Nginx => "nginx",
            Gateway::Tollgate => "tollgate",
        }
    }
}

/// A gateway that is ready to be asked.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) gateway: Gateway,
    pub(super) server: Option<Server>,
    pub(super) address: SocketAddr,
    /// One key a line, where keys matter.
    pub(super) keys: Option<PathBuf>,
    /// In front of each model's name, where the gateway is to rename models.
    prefix: &'static str,
    /// From exec to the first whole answer with 200, in ms, of each start.
    pub(super) starts_ms: Vec<f64>,
}

impl Running {
    /// The name that a model has at this gateway.
    pub(super) fn model(&self, upstream: &str) -> String {
        format!("{}{upstream}", self.prefix)
    }
}

/// What starting needs.
#[derive(Debug)]
pub(super) struct Starter<'a> {
    /// The folder of the benchmark's own binaries.
    pub(super) bin: &'a Path,
    /// Tollgate's.
    pub(super) tollgate: &'a Path,
    /// A folder for configurations, databases and logs.
    pub(super) dir: &'a Path,
    pub(super) pins: &'a Pins,
    pub(super) upstream: SocketAddr,
    /// Tollgate serves its models under other names than the upstream does, and so has to write
    /// its own name into every answer and event.
    pub(super) alias: bool,
}

impl Starter<'_> {
    /// Starts the upstream.
    pub(super) fn upstream(&self) -> anyhow::Result<Server> {
        let line = self.ours("bench-upstream", ["--listen", &self.upstream.to_string()]);
        let cores = self.pins.upstream.as_deref();
        let mut server = Server::start(&line, cores, &self.dir.join("upstream.log"))?;
        let request = request("bench", "sk-bench");
        first_answer(&mut server, self.upstream, &request).context("the upstream")?;
        Ok(server)
    }

    /// Starts a gateway a few times, and leaves it running.
    pub(super) fn gateway(&self, gateway: Gateway) -> anyhow::Result<Running> {
        let mut running = Running {
            gateway,
            server: None,
            address: free_address()?,
            keys: None,
            prefix: "",
            starts_ms: Vec::new(),
        };
        let mut key = "sk-bench".to_owned();
        let line = match gateway {
            Gateway::Direct => {
                running.address = self.upstream;
                return Ok(running);
            }
            Gateway::Proxy => {
                let (listen, upstream) = (running.address.to_string(), self.upstream.to_string());
                self.ours("bench-proxy", ["--listen", &listen, "--upstream", &upstream])
            }
            Gateway::Nginx => self.nginx(running.address)?,
            Gateway::Tollgate => {
                running.prefix = if self.alias { "public-" } else { "" };
                key = key_of(0);
                self.tollgate(&mut running)?
            }
        };
        let request = request(&running.model("bench"), &key);
        let log = self.dir.join(format!("{}.log", gateway.name().replace(' ', "-")));
        for _ in 0..STARTS {
            // The one before has to be gone.
            running.server = None;
            let mut server = Server::start(&line, self.pins.gateway.as_deref(), &log)?;
            let took = first_answer(&mut server, running.address, &request)
                .with_context(|| gateway.name().to_owned())?;
            running.starts_ms.push(took.as_secs_f64() * 1e3);
            running.server = Some(server);
        }
        Ok(running)
    }

    fn ours<'w>(&self, name: &str, words: impl IntoIterator<Item = &'w str>) -> Line {
        self.program(&self.bin.join(name), words)
    }

    fn program<'w>(&self, program: &Path, words: impl IntoIterator<Item = &'w str>) -> Line {
        let program = program.to_string_lossy().into_owned();
        Line::new(std::iter::once(program).chain(words.into_iter().map(str::to_owned)))
    }

    /// Two workers, connections to the upstream kept, nothing buffered, nothing logged.
    fn nginx(&self, address: SocketAddr) -> anyhow::Result<Line> {
        let dir = self.dir.join("nginx");
        fs::create_dir_all(&dir)?;
        let (upstream, path) = (self.upstream, dir.to_string_lossy().into_owned());
        let mut temporary = String::new();
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(temporary, "    {kind}_temp_path {path}/{kind};")?;
        }
        let config = format!(
            "daemon off;\nworker_processes 2;\npid {path}/pid;\nerror_log {path}/error.log error;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n    access_log off;\n    tcp_nodelay on;\n    keepalive_requests 100000000;\n    \
             client_body_buffer_size 256k;\n    client_max_body_size 32m;\n{temporary}    \
             upstream script {{\n        server {upstream};\n        keepalive 512;\n        \
             keepalive_requests 100000000;\n    }}\n    server {{\n        \
             listen {address} reuseport backlog=4096;\n        location / {{\n            \
             proxy_pass http://script;\n            proxy_http_version 1.1;\n            \
             proxy_set_header Connection \"\";\n            proxy_buffering off;\n        }}\n    \
             }}\n}}\n"
        );
        let file = dir.join("nginx.conf");
        fs::write(&file, config)?;
        let error_log = dir.join("error.log");
        let program = nginx_program().context("nginx is not installed")?;
        Ok(Line::new([
            program.to_string_lossy(),
            "-c".into(),
            file.to_string_lossy(),
            "-e".into(),
            error_log.to_string_lossy(),
        ]))
    }

    /// Tollgate with every duty on: 10,000 keys in the database, each with rate limits and a
    /// budget that are checked and never reached, prices, routing, a usage row for each answer.
    fn tollgate(&self, running: &mut Running) -> anyhow::Result<Line> {
        let dir = self.dir.join("tollgate");
        fs::create_dir_all(&dir)?;
        let config = dir.join("config.yaml");
        fs::write(&config, tollgate_config(self.upstream, running))?;
        let keys = dir.join("keys");
        let import = dir.join("keys.jsonl");
        fs::write(&keys, (0..KEYS).map(|n| key_of(n) + "\n").collect::<String>())?;
        fs::write(&import, (0..KEYS).map(|n| import_line(n) + "\n").collect::<String>())?;
        let database = format!("sqlite://{}", dir.join("tollgate.db").display());
        let import = import.to_string_lossy();
        let line =
            self.program(self.tollgate, ["keys", "import", &import, "--database", &database]);
        let output = line.command(None)?.stdin(Stdio::null()).output()?;
        ensure!(
            output.status.success(),
            "tollgate cannot import keys: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        running.keys = Some(keys);
        let mut line = self.program(self.tollgate, ["serve", "--workers", "2"]);
        for (name, value) in [
            ("--config", config.to_string_lossy().into_owned()),
            ("--host", running.address.ip().to_string()),
            ("--port", running.address.port().to_string()),
            ("--database", database),
            ("--data-dir", dir.join("data").to_string_lossy().into_owned()),
        ] {
            line.words.extend([name.to_owned(), value]);
        }
        line.env.push(("LITELLM_MASTER_KEY".to_owned(), MASTER_KEY.to_owned()));
        Ok(line)
    }
}

/// Usage rows that Tollgate says it has.
pub(super) fn usage_rows(tollgate: &Running) -> anyhow::Result<u64> {
    let request = format!(
        "GET /spend/logs/v2?page=1&page_size=1 HTTP/1.1\r\nhost: localhost\r\n\
         authorization: Bearer {MASTER_KEY}\r\nconnection: close\r\n\r\n"
    );
    let answer = ask(tollgate.address, request.as_bytes())?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    let page: Page = serde_json::from_str(body).with_context(|| answer.clone())?;
    Ok(page.total)
}

#[derive(Deserialize)]
struct Page {
    total: u64,
}

/// nginx, where it is installed.
pub(super) fn nginx_program() -> Option<PathBuf> {
    let path = crate::variable("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join("nginx")).find(|program| program.is_file())
}

fn tollgate_config(upstream: SocketAddr, running: &Running) -> String {
    let mut text = "model_list:\n".to_owned();
    for model in MODELS {
        let name = running.model(model);
        // Two targets a model, so that there is a choice to make.
        for n in 1..=2 {
            text += &format!(
                "  - model_name: {name}\n    litellm_params:\n      model: openai/{model}\n      \
                 api_base: http://{upstream}/v1\n      api_key: sk-upstream-{n}\n      \
                 input_cost_per_token: 0.0000025\n      output_cost_per_token: 0.00001\n"
            );
        }
    }
    text
}

/// The `n`th key: as long as those that Tollgate makes.
fn key_of(n: usize) -> String {
    format!("sk-bench{n:014}")
}

/// A line of `tollgate keys import`.
fn import_line(n: usize) -> String {
    json!({
        "key": key_of(n),
        "key_alias": format!("bench-{n}"),
        "models": MODELS.iter().flat_map(|m| [(*m).to_owned(), format!("public-{m}")])
            .collect::<Vec<_>>(),
        "rpm_limit": 1_000_000_000,
        "tpm_limit": 1_000_000_000_000_u64,
        "max_parallel_requests": 100_000,
        "max_budget": 1_000_000.0,
        "user_id": format!("user-{}", n % 100),
    })
    .to_string()
}

/// A port that was free a moment ago.
pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A short completion.
fn request(model: &str, key: &str) -> Vec<u8> {
    let messages = json!([{"role": "user", "content": "hello"}]);
    let body = json!({"model": model, "messages": messages}).to_string();
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// How long it took from start to the first whole answer with 200, asked every ms.
fn first_answer(
    server: &mut Server,
    address: SocketAddr,
    request: &[u8],
) -> anyhow::Result<Duration> {
    let mut last = "nobody listens".to_owned();
    while server.started.elapsed() < START_PATIENCE {
        match ask(address, request) {
            Ok(answer) if is_answer(&answer) => return Ok(server.started.elapsed()),
            Ok(answer) => last = answer,
            Err(e) => last = e.to_string(),
        }
        server.alive()?;
        std::thread::sleep(Duration::from_millis(1));
    }
    bail!("no answer with 200 within {} s; the last was: {last}", START_PATIENCE.as_secs())
}

/// One request on a connection of its own; the whole answer, head and body.
fn ask(address: SocketAddr, request: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        let read = stream.read(&mut piece)?;
        answer.extend_from_slice(piece.get(..read).unwrap_or_default());
        let so_far = String::from_utf8_lossy(&answer);
        if read == 0 || is_answer(&so_far) {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// True for the scripted upstream's answer: its text to the end, and the usage that follows it.
fn is_answer(text: &str) -> bool {
    let end = "[end-of-answer]";
    text.starts_with("HTTP/1.1 200 ")
        && text.split_once(end).is_some_and(|(_, rest)| rest.contains("\"total_tokens\""))
}
