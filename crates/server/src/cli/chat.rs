//! `tollgate chat`: one answer, or a conversation, in a terminal.

use std::{
    io::{IsTerminal, Read},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustyline::{DefaultEditor, error::ReadlineError};
use tollgate::{ChatCompletion, Completion, Gateway, Message, Nano, Tollgate};

use super::terminal::{Paint, Terminal, count, duration, on_terminal, usd};

/// Most bytes of a prompt.
const MOST_PROMPT: u64 = 8 << 20;
/// How often to look for a gateway's usage row.
const LOOKS: u32 = 10;
/// What interrupted programs exit with: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// Chat with a model: one answer, or a conversation.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = "Examples:
  tollgate chat -m apertis/model-name \"Write a short poem about AI\"
  git diff | tollgate chat -m apertis/model-name \"Review this:\" -
  tollgate chat -m apertis/model-name -i")]
pub(crate) struct ChatArgs {
    /// The model, as `provider/model`; with --url, any name that the gateway has
    #[arg(short, long)]
    pub(crate) model: String,
    /// The prompt; `-` stands for standard input, which is also read when there is no prompt
    pub(crate) prompt: Vec<String>,
    /// Keep a conversation
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// How the model is to behave
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// How freely words are chosen, 0 to 2
    #[arg(short, long, value_name = "NUMBER")]
    pub(crate) temperature: Option<f64>,
    /// Most tokens of an answer
    #[arg(long, value_name = "COUNT")]
    pub(crate) max_tokens: Option<u64>,
    /// Print the whole answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the answer when it is complete
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Print tokens, cost and time even when standard error is no terminal
    #[arg(long)]
    pub(crate) stats: bool,
    /// A gateway to ask, instead of the provider
    #[arg(long, env = "TOLLGATE_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The gateway's key; without --url, the provider's
    #[arg(long, env = "TOLLGATE_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
}

/// Runs the command on the process's terminal.
pub(crate) async fn chat(args: ChatArgs) -> anyhow::Result<()> {
    let ended = on_terminal(async |terminal| {
        let session = Session::new(&args)?;
        if session.interactive() {
            session.converse(terminal).await.map(|()| Ended::Whole)
        } else {
            session.once(terminal).await
        }
    });
    if ended.await? == Ended::Interrupted {
        std::process::exit(INTERRUPTED);
    }
    Ok(())
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Whole,
    Interrupted,
}

struct Session<'a> {
    args: &'a ChatArgs,
    client: Tollgate,
}

impl<'a> Session<'a> {
    fn new(args: &'a ChatArgs) -> anyhow::Result<Self> {
        let client = match (&args.url, &args.key) {
            (Some(url), Some(key)) => Tollgate::gateway(url, key),
            (Some(_), None) => {
                bail!("TOLLGATE_API_KEY is not set: a gateway wants a key; set it, or give --key")
            }
            (None, _) => Tollgate::new(),
        };
        Ok(Session { args, client })
    }

    /// A conversation is also what somebody at a terminal wants who gave no prompt.
    fn interactive(&self) -> bool {
        let args = self.args;
        args.interactive || (args.prompt.is_empty() && std::io::stdin().is_terminal())
    }

    async fn once(&self, terminal: &mut Terminal<'_>) -> anyhow::Result<Ended> {
        let prompt = prompt(&self.args.prompt, &mut std::io::stdin())?;
        let mut messages = self.opening();
        messages.push(tollgate::user(prompt));
        let (_, ended) = self.answer(&self.args.model, messages, terminal).await?;
        Ok(ended)
    }

    fn opening(&self) -> Vec<Message> {
        self.args.system.iter().map(|text| tollgate::system(text.as_str())).collect()
    }

    /// Reads a line, answers it, until `/exit` or the end of the input. The conversation is kept
    /// in memory alone.
    async fn converse(&self, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
        let mut editor = DefaultEditor::new().context("cannot read from this terminal")?;
        let mut model = self.args.model.clone();
        let mut messages = self.opening();
        let paint = terminal.err_paint;
        let hello = format!("{model} · /model NAME, /clear, /exit · Ctrl-C stops an answer");
        writeln!(terminal.err, "{}", paint.dim(&hello))?;
        let mut first = Some(self.args.prompt.join(" ")).filter(|prompt| !prompt.is_empty());
        loop {
            let line;
            (editor, line) = match first.take() {
                Some(prompt) => (editor, Some(prompt)),
                None => read_line(editor).await?,
            };
            let Some(line) = line else { return Ok(()) };
            match Said::of(&line) {
                Said::Nothing => {}
                Said::Exit => return Ok(()),
                Said::Clear => {
                    messages = self.opening();
                    writeln!(terminal.err, "{}", paint.dim("a new conversation"))?;
                }
                Said::Model(name) => {
                    model = name;
                    writeln!(terminal.err, "{}", paint.dim(&format!("now asking {model}")))?;
                }
                Said::Unknown(command) => {
                    let known = format!("no command `{command}`: /model NAME, /clear, /exit");
                    writeln!(terminal.err, "{}", paint.dim(&known))?;
                }
                Said::Prompt(prompt) => {
                    messages.push(tollgate::user(prompt));
                    match self.answer(&model, messages.clone(), terminal).await {
                        Ok((answer, _)) => messages.push(answer),
                        Err(error) => {
                            messages.pop();
                            writeln!(terminal.err, "error: {error:#}")?;
                        }
                    }
                }
            }
        }
    }

    /// Asks, and prints the answer. Returns it for the conversation.
    async fn answer(
        &self,
        model: &str,
        messages: Vec<Message>,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<(Message, Ended)> {
        let ask = self.ask(model, messages);
        let started = Instant::now();
        let (whole, ended) = if self.args.json || self.args.no_stream {
            match until_interrupted(ask.into_future()).await {
                Some(whole) => (whole.map_err(told)?, Ended::Whole),
                None => return Ok((tollgate::assistant(""), Ended::Interrupted)),
            }
        } else {
            stream(ask, terminal).await?
        };
        let mut text = whole.text();
        if self.args.json {
            text = serde_json::to_string_pretty(&whole)?;
        }
        if self.args.json || self.args.no_stream {
            writeln!(terminal.out, "{text}")?;
        }
        if self.args.stats || terminal.err_paint == Paint::Colours {
            let total = started.elapsed();
            let line = stats(&whole, self.cost(&whole).await, total);
            writeln!(terminal.err, "{}", terminal.err_paint.dim(&line))?;
        }
        let message = whole.message().cloned();
        Ok((message.unwrap_or_else(|| tollgate::assistant("")), ended))
    }

    /// What an answer cost. A gateway says so in its usage row, which it writes in batches.
    async fn cost(&self, whole: &ChatCompletion) -> Option<Nano> {
        let (Some(url), Some(key)) = (&self.args.url, &self.args.key) else { return whole.cost() };
        let id = whole.route.headers.get("x-litellm-call-id")?.to_str().ok()?;
        let path = format!("/spend/logs/v2?request_id={id}");
        for _ in 0..LOOKS {
            if let Ok(page) = Gateway::new(url, key).get(&path).await
                && let Some(row) = page.pointer("/data/0")
            {
                return Nano::from_usd_text(&row.get("spend")?.to_string()).ok();
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        None
    }

    fn ask(&self, model: &str, messages: Vec<Message>) -> Completion {
        let mut ask = self.client.completion(model, messages);
        if let Some(temperature) = self.args.temperature {
            ask = ask.temperature(temperature);
        }
        if let Some(most) = self.args.max_tokens {
            ask = ask.max_tokens(most);
        }
        match (&self.args.url, &self.args.key) {
            (None, Some(key)) => ask.api_key(key),
            (Some(_), _) | (None, None) => ask,
        }
    }
}

/// Prints the answer word by word, until it ends or Ctrl-C is pressed. Thoughts are shown to
/// people only, so that what is piped on is the answer.
async fn stream(
    ask: Completion,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<(ChatCompletion, Ended)> {
    let mut chunks = Vec::new();
    let mut ended = Ended::Whole;
    let Some(stream) = until_interrupted(ask.stream()).await else {
        return Ok((ChatCompletion::default(), Ended::Interrupted));
    };
    let mut stream = stream.map_err(told)?;
    let mut thinking = false;
    loop {
        let Some(next) = until_interrupted(stream.next()).await else {
            ended = Ended::Interrupted;
            break;
        };
        let Some(chunk) = next else { break };
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                writeln!(terminal.out)?;
                return Err(told(error));
            }
        };
        if terminal.out_paint == Paint::Colours && !chunk.reasoning().is_empty() {
            thinking = true;
            write!(terminal.out, "{}", terminal.out_paint.dim(chunk.reasoning()))?;
        }
        if !chunk.text().is_empty() {
            if std::mem::take(&mut thinking) {
                write!(terminal.out, "\n\n")?;
            }
            write!(terminal.out, "{}", chunk.text())?;
        }
        terminal.out.flush()?;
        chunks.push(chunk);
    }
    writeln!(terminal.out)?;
    let mut whole = tollgate::stream_chunk_builder(&chunks).unwrap_or_default();
    whole.route = stream.route().clone();
    Ok((whole, ended))
}

/// An error as it is told to a person: what was found before anybody was asked needs no class.
fn told(error: tollgate::Error) -> anyhow::Error {
    if error.details().attempts == 0 {
        anyhow::anyhow!("{}", error.message())
    } else {
        error.into()
    }
}

/// `None` where Ctrl-C came first; what was under way is dropped, which hangs up.
async fn until_interrupted<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        Ok(()) = tokio::signal::ctrl_c() => None,
    }
}

/// The prompt: the words of the command line, with standard input where a `-` stands, or standard
/// input alone.
fn prompt(words: &[String], input: &mut impl Read) -> anyhow::Result<String> {
    let mut stdin = || {
        let mut text = String::new();
        let read = input.take(MOST_PROMPT + 1).read_to_string(&mut text);
        read.context("standard input is not text in UTF-8")?;
        if u64::try_from(text.len()).is_ok_and(|length| length > MOST_PROMPT) {
            bail!("standard input is over {MOST_PROMPT} bytes");
        }
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    };
    let prompt = if words.is_empty() {
        stdin()?
    } else if let Some(at) = words.iter().position(|word| word == "-") {
        let (before, after) = words.split_at(at);
        let rest = after.split_first().map(|(_, rest)| rest).unwrap_or_default();
        let parts = [before.join(" "), stdin()?, rest.join(" ")];
        parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("\n\n")
    } else {
        words.join(" ")
    };
    if prompt.trim().is_empty() {
        bail!("the prompt is empty");
    }
    Ok(prompt)
}

/// A line of a conversation.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Exit,
    Clear,
    Model(String),
    Unknown(String),
    Prompt(String),
}

impl Said {
    fn of(line: &str) -> Self {
        let line = line.trim();
        if line.is_empty() {
            return Said::Nothing;
        }
        if !line.starts_with('/') {
            return Said::Prompt(line.to_owned());
        }
        let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match (command, rest.trim()) {
            ("/exit" | "/quit", _) => Said::Exit,
            ("/clear", _) => Said::Clear,
            ("/model", name) if !name.is_empty() => Said::Model(name.to_owned()),
            _ => Said::Unknown(command.to_owned()),
        }
    }
}

/// A line of the person's; `None` at the end of the input. Reading blocks, so it is done on a
/// thread for that.
async fn read_line(mut editor: DefaultEditor) -> anyhow::Result<(DefaultEditor, Option<String>)> {
    let read = tokio::task::spawn_blocking(move || {
        let line = editor.readline("> ");
        (editor, line)
    });
    let (mut editor, line) = read.await.context("cannot read from this terminal")?;
    match line {
        Ok(line) => {
            // A line that cannot be remembered can still be answered.
            let _remembered = editor.add_history_entry(&line);
            Ok((editor, Some(line)))
        }
        Err(ReadlineError::Interrupted) => Ok((editor, Some(String::new()))),
        Err(ReadlineError::Eof) => Ok((editor, None)),
        Err(error) => Err(error).context("cannot read from this terminal"),
    }
}

/// `demo/chat · 12 + 74 tokens · $0.0000125 · first token 31 ms · 1.4 s`
fn stats(whole: &ChatCompletion, cost: Option<Nano>, total: Duration) -> String {
    let route = &whole.route;
    let usage = &route.usage;
    let about = if usage.estimated { "about " } else { "" };
    let cost = cost.map_or_else(|| "price unknown".to_owned(), usd);
    format!(
        "{} · {about}{} + {} tokens · {cost} · first token {} · {}",
        route.model,
        count(usage.input),
        count(usage.output),
        duration(route.first_byte),
        duration(total),
    )
}

#[cfg(test)]
mod tests;
