//! The demo command: starts provider and gateway, makes a key, sends one streamed chat through the
//! whole of it, shows what it cost, and says what to paste next.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    pin::Pin,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::{Value, json};
use tollgate::{CompletionStream, Gateway, Nano};

use crate::{
    cli::terminal::{Terminal, count, duration, on_terminal, usd},
    serve::{self, ServeOptions},
};

/// Where the gateway listens, unless it is told otherwise or somebody is there already.
const PORT: u16 = 4000;
/// What is asked, unless it is told otherwise.
const PROMPT: &str = "Write a short poem about AI";
/// How long to wait for the usage row; it is written in batches.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long answers under way may take once Ctrl-C is pressed.
const DRAIN: Duration = Duration::from_secs(10);

/// See everything work: no key, no network, no configuration.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct DemoArgs {
    /// What to ask
    pub(crate) prompt: Option<String>,
    /// Exit after the first answer
    #[arg(long)]
    pub(crate) once: bool,
    /// The port to listen on; 4000, or a free one where that is taken
    #[arg(long)]
    pub(crate) port: Option<u16>,
}

/// The gateway that the demo wants.
#[derive(Debug)]
struct Wanted {
    /// Its configuration, as the text of a `config.yaml`.
    config: String,
    /// Where it is to listen, on 127.0.0.1.
    port: u16,
    /// An empty folder for its database and journal, removed when the demo ends.
    data_dir: PathBuf,
    /// Its admin key, which the configuration sets.
    master_key: String,
}

/// The gateway that the demo got.
struct Running {
    /// `http://127.0.0.1:4000`
    url: String,
    /// The admin key.
    master_key: String,
    /// Drains it.
    stop: Pin<Box<dyn Future<Output = anyhow::Result<()>>>>,
}

/// Runs the command on the process's terminal.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    on_terminal(async |terminal| show(args, gateway, terminal).await).await
}

/// Starts the gateway that the command wants.
async fn gateway(wanted: Wanted) -> anyhow::Result<Running> {
    let database = format!("sqlite://{}", wanted.data_dir.join("tollgate.db").display());
    let options = ServeOptions {
        config: None,
        config_text: Some(wanted.config),
        host: Ipv4Addr::LOCALHOST.into(),
        port: wanted.port,
        database: Some(database),
        data_dir: Some(wanted.data_dir),
        workers: Some(1),
        drain: Some(DRAIN),
        lenient: false,
        log_format: None,
    };
    let running = serve::start(options).await?;
    let url = format!("http://{}", running.addr);
    let stop = Box::pin(async move { running.stop(hurry()).await });
    Ok(Running { url, master_key: wanted.master_key, stop })
}

/// The command itself. `serve` starts the gateway.
async fn show<S, F>(args: DemoArgs, serve: S, terminal: &mut Terminal<'_>) -> anyhow::Result<()>
where
    S: FnOnce(Wanted) -> F,
    F: Future<Output = anyhow::Result<Running>>,
{
    let demo = super::start().await.context("cannot start the demo provider")?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let master_key = format!("sk-{}", uuid::Uuid::new_v4().simple());
    let wanted = Wanted {
        config: config(&demo.base_url, &master_key),
        master_key,
        port: args.port.unwrap_or_else(free_port),
        data_dir: folder.path().to_owned(),
    };
    let running = serve(wanted).await?;
    let key = make_key(&running).await?;
    greet(&running, terminal)?;
    one_chat(&args, &running, &key, terminal).await?;
    what_next(&running, &key, terminal)?;
    if args.once {
        let hint = "Ended after one answer; without --once it goes on serving.";
        writeln!(terminal.out, "{}", terminal.out_paint.dim(hint))?;
    } else {
        let hint = terminal.out_paint.dim("Serving. Ctrl-C ends it.");
        writeln!(terminal.out, "{hint}")?;
        terminal.out.flush()?;
        asked_to_stop().await?;
    }
    running.stop.await?;
    demo.shutdown().await;
    Ok(())
}

/// The demo's configuration: a provider of its own, and its models at prices that make a cost.
fn config(base_url: &str, master_key: &str) -> String {
    let model = |name: &str, input: &str, output: &str| {
        format!(
            "  - model_name: demo/{name}\n\
             \x20   litellm_params:\n\
             \x20     model: demo/demo-{name}\n\
             \x20     input_cost_per_token: {input}\n\
             \x20     output_cost_per_token: {output}\n"
        )
    };
    format!(
        "general_settings:\n\
         \x20 master_key: {master_key}\n\
         tollgate:\n\
         \x20 providers:\n\
         \x20   demo:\n\
         \x20     url: {base_url}\n\
         \x20     auth: none\n\
         \x20     speaks: {{openai: \"\"}}\n\
         \x20     ops: [chat, embeddings]\n\
         model_list:\n{}{}{}",
        model("chat", "0.00000015", "0.0000006"),
        model("reasoner", "0.000001", "0.000004"),
        model("embed", "0.00000002", "0"),
    )
}

/// The usual port, or any where that is taken.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).map_or(0, |_| PORT)
}

async fn make_key(running: &Running) -> anyhow::Result<String> {
    let admin = Gateway::new(&running.url, &running.master_key);
    let wanted = json!({"key_alias": "demo", "max_budget": 1.0, "models": []});
    let made = admin.post("/key/generate", &wanted).await.context("cannot make a key")?;
    let key = made.get("key").and_then(Value::as_str).context("the gateway made no key")?;
    Ok(key.to_owned())
}

fn greet(running: &Running, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let paint = terminal.out_paint;
    writeln!(terminal.out, "{}", paint.bold("Tollgate demo"))?;
    for (name, value) in [
        ("gateway", running.url.as_str()),
        ("provider", "demo/chat, demo/reasoner, demo/embed: scripted, in this process"),
        ("database", "SQLite, in a temporary folder"),
    ] {
        writeln!(terminal.out, "  {} {value}", paint.dim(&format!("{name:<9}")))?;
    }
    writeln!(terminal.out)?;
    Ok(())
}

/// Sends the prompt through the gateway, prints the answer as it comes, then its figures.
async fn one_chat(
    args: &DemoArgs,
    running: &Running,
    key: &str,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let paint = terminal.out_paint;
    let prompt = args.prompt.as_deref().unwrap_or(PROMPT);
    writeln!(terminal.out, "{}\n", paint.dim(&format!("> {prompt}")))?;
    let client = tollgate::Tollgate::gateway(&running.url, key);
    let started = Instant::now();
    let mut stream = client.completion("demo/chat", [tollgate::user(prompt)]).stream().await?;
    let mut first_word = None;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        if !chunk.text().is_empty() {
            first_word.get_or_insert_with(|| started.elapsed());
            write!(terminal.out, "{}", chunk.text())?;
            terminal.out.flush()?;
        }
    }
    let total = started.elapsed();
    let row = usage_row(running, &stream).await?;
    let figures = figures(&stream, &row, first_word.unwrap_or(total), total);
    writeln!(terminal.out, "\n\n{}\n", paint.green(&figures))?;
    Ok(())
}

/// The row that the gateway keeps of the answer, once it is written.
async fn usage_row(running: &Running, stream: &CompletionStream) -> anyhow::Result<Value> {
    let id = stream.route().headers.get("x-litellm-call-id");
    let id = id.and_then(|id| id.to_str().ok()).context("the answer has no x-litellm-call-id")?;
    let admin = Gateway::new(&running.url, &running.master_key);
    let path = format!("/spend/logs/v2?request_id={id}");
    let asked = Instant::now();
    loop {
        let page = admin.get(&path).await.context("cannot read the usage")?;
        if let Some(row) = page.pointer("/data/0") {
            return Ok(row.clone());
        }
        if asked.elapsed() > PATIENCE {
            anyhow::bail!("the gateway has no usage row for request {id}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// `demo/chat · 12 + 74 tokens · $0.0000125 · first word 31 ms · 1.4 s`
fn figures(
    stream: &CompletionStream,
    row: &Value,
    first_word: Duration,
    total: Duration,
) -> String {
    let tokens = |name: &str| row.get(name).and_then(Value::as_u64).unwrap_or_default();
    let spend = row.get("spend").map(Value::to_string);
    let cost = spend.and_then(|text| Nano::from_usd_text(text.trim_matches('"')).ok());
    format!(
        "{} · {} + {} tokens · {} · first word {} · {}",
        stream.route().model,
        count(tokens("prompt_tokens")),
        count(tokens("completion_tokens")),
        cost.map_or_else(|| "price unknown".to_owned(), usd),
        duration(first_word),
        duration(total),
    )
}

fn what_next(running: &Running, key: &str, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let (paint, url) = (terminal.out_paint, &running.url);
    let say = |title: &str, text: &str| format!("{}\n{}", paint.dim(title), indent(text));
    let curl = format!(
        "curl -N {url}/v1/chat/completions \\\n  \
         -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\\n  \
         -d '{{\"model\": \"demo/chat\", \"stream\": true, \
         \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'"
    );
    let python = format!(
        "from openai import OpenAI\n\
         client = OpenAI(base_url=\"{url}/v1\", api_key=\"{key}\")\n\
         answer = client.chat.completions.create(\n    \
         model=\"demo/chat\", messages=[{{\"role\": \"user\", \"content\": \"Hello\"}}])\n\
         print(answer.choices[0].message.content)"
    );
    writeln!(terminal.out, "{}", say("Ask it from a shell:", &curl))?;
    writeln!(terminal.out, "{}", say("or with any OpenAI SDK:", &python))?;
    writeln!(terminal.out, "{} {key}", paint.dim("key       "))?;
    writeln!(terminal.out, "{} {}\n", paint.dim("master key"), running.master_key)?;
    terminal.out.flush()?;
    Ok(())
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// A second Ctrl-C cuts the draining short.
async fn hurry() {
    if asked_to_stop().await.is_err() {
        std::future::pending().await
    }
}

/// Ctrl-C, or what a supervisor sends.
async fn asked_to_stop() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminated = signal(SignalKind::terminate())?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed?,
            _ = terminated.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}

#[cfg(test)]
mod tests;
