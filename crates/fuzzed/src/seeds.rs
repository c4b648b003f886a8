//! Where fuzzing begins: the fixtures, with the bytes before them that each target reads first, and
//! what was found beyond them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use tollgate_wire::Dialect;

use crate::{
    ask::PEEKED,
    exchange::EMBEDS,
    frame::BEDROCK,
    to::{SURFACES, UPSTREAMS},
};

/// Longest input.
pub const MAX_BYTES: usize = 4096;
/// Longest word of a dictionary.
const MAX_WORD: usize = 40;

/// The top of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where the inputs of a target are kept that reach more code than the fixtures do.
pub fn corpus(target: &str) -> PathBuf {
    root().join(format!("fuzz/corpus/{target}.txt"))
}

/// Where the inputs are kept that a target once failed with.
pub fn findings(target: &str) -> PathBuf {
    root().join(format!("fuzz/findings/{target}.txt"))
}

/// The inputs in such a file; none where there is no file.
pub fn kept(file: &Path) -> Vec<Vec<u8>> {
    fs::read_to_string(file).map(|text| unpack(&text)).unwrap_or_default()
}

/// What is known for a target: what the fixtures say, then what was found.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    [fixtures(target), kept(&findings(target)), kept(&corpus(target))].concat()
}

/// A file of `fixtures`.
struct Fixture {
    /// `hello_stream`
    case: String,
    /// `request.openai.json`
    name: String,
    body: Vec<u8>,
}

impl Fixture {
    fn is(&self, start: &str, ends: &[&str]) -> bool {
        let rest = self.name.strip_prefix(start);
        rest.is_some_and(|rest| ends.contains(&rest))
    }
}

/// All files of an operation, in order.
fn files(operation: &str) -> Vec<Fixture> {
    let mut found = Vec::new();
    for case in listed(&root().join("fixtures").join(operation)) {
        for file in listed(&case) {
            let name = |path: &Path| path.file_name().map(|name| name.display().to_string());
            found.push(Fixture {
                case: name(&case).unwrap_or_default(),
                name: name(&file).unwrap_or_default(),
                body: fs::read(&file).expect("a fixture can be read"),
            });
        }
    }
    found
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("there is such a folder");
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    paths
}

/// What the fixtures say.
pub fn fixtures(target: &str) -> Vec<Vec<u8>> {
    let mut inputs = of_fixtures(target);
    inputs.retain(|input| input.len() <= MAX_BYTES);
    inputs
}

fn of_fixtures(target: &str) -> Vec<Vec<u8>> {
    let chat = files("chat");
    match target.rsplit_once('_') {
        Some((dialect, "ask")) => asks(&chat, dialect),
        Some((dialect, "answer")) => {
            let answers = answers(&chat, dialect).enumerate();
            answers.map(|(n, body)| [&[some(n)], body.as_slice()].concat()).collect()
        }
        _ => match target {
            "embeddings" => embeddings(),
            "count" => counts(&chat),
            "peek" => requests(),
            "job" => jobs(&chat),
            "fault" => faults(&chat),
            "relay" => exchanged(&chat, &SURFACES, |dialect, n| dialect + n % 3 * SURFACES.len()),
            "bridge" => exchanged(&chat, &UPSTREAMS, |upstream, n| {
                n % SURFACES.len() + upstream * SURFACES.len()
            }),
            "sse" => ending(&chat, ".sse"),
            "lines" => ending(&chat, ".ndjson"),
            "aws" => ending(&chat, ".bin"),
            _ => Vec::new(),
        },
    }
}

/// Some byte: what it chooses is not known here.
fn some(n: usize) -> u8 {
    (n * 37) as u8
}

/// Answers of each dialect, and before each what the number of its dialect and its own choose.
fn exchanged(
    files: &[Fixture],
    dialects: &[Dialect],
    which: impl Fn(usize, usize) -> usize,
) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, dialect) in dialects.iter().enumerate() {
        for (n, body) in answers(files, dialect.name()).enumerate() {
            seeds.push([&[which(number, n) as u8, some(n)], body.as_slice()].concat());
        }
    }
    seeds
}

fn ending(files: &[Fixture], end: &str) -> Vec<Vec<u8>> {
    let found = files.iter().filter(|file| file.name.ends_with(end)).enumerate();
    found.map(|(n, file)| [&[some(n)], file.body.as_slice()].concat()).collect()
}

/// Predictions, as they are and while they run.
fn jobs(files: &[Fixture]) -> Vec<Vec<u8>> {
    let found = files.iter().filter(|file| file.name == "upstream.replicate.json").enumerate();
    let seeds = found.flat_map(|(n, file)| {
        let text = String::from_utf8_lossy(&file.body).replace("\"succeeded\"", "\"starting\"");
        let text = text.replace("https://stream.replicate.com", "https://s.b.test");
        [file.body.clone(), text.into_bytes()].map(|body| [&[some(n)], body.as_slice()].concat())
    });
    seeds.collect()
}

fn asks(files: &[Fixture], dialect: &str) -> Vec<Vec<u8>> {
    let name = format!("request.{dialect}.json");
    let found = files.iter().filter(|file| file.name == name).enumerate();
    let seeds = found.map(|(n, file)| {
        let stream = if file.case.ends_with("_stream") { 0x10 } else { 0 };
        [&[(n % 16) as u8 | stream], file.body.as_slice()].concat()
    });
    seeds.collect()
}

/// What upstreams of a dialect answer, whole and streamed. A completion's are a chat completion's
/// with other objects.
fn answers<'f>(files: &'f [Fixture], dialect: &'f str) -> impl Iterator<Item = Vec<u8>> + 'f {
    let upstream = if dialect == "completions" { "openai" } else { dialect };
    let start = format!("upstream.{upstream}.");
    let found =
        files.iter().filter(move |file| file.is(&start, &["json", "sse", "ndjson", "events"]));
    found.map(
        |file| if file.name.ends_with(".events") { lines(&file.body) } else { file.body.clone() },
    )
}

/// `name payload` of each line, as `frame::bedrock` takes it.
fn lines(events: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(events);
    let lines = text.lines().map(|line| {
        let (name, payload) = line.split_once(' ').unwrap_or((line, ""));
        let name = name.trim_start_matches(['!', '?']);
        let kind = BEDROCK.iter().position(|known| *known == name).unwrap_or(BEDROCK.len() - 1);
        // A character that can be read, and names the same.
        format!("{}{payload}", char::from(b'`' + kind as u8))
    });
    lines.collect::<Vec<_>>().join("\n").into_bytes()
}

fn embeddings() -> Vec<Vec<u8>> {
    let files = files("embeddings");
    let mut by_case: BTreeMap<&str, BTreeMap<&str, &[u8]>> = BTreeMap::new();
    for file in &files {
        by_case.entry(&file.case).or_default().insert(&file.name, &file.body);
    }
    let mut seeds = Vec::new();
    for case in by_case.values() {
        for (n, (surface, _, who, ..)) in EMBEDS.iter().enumerate() {
            let request = case.get(format!("request.{}.json", surface.name()).as_str());
            let answer = case.get(format!("upstream.{who}.json").as_str());
            if let Some(request) = request {
                let answer = answer.copied().unwrap_or(b"{}");
                seeds.push([&[n as u8], *request, &[0], answer].concat());
            }
        }
    }
    seeds
}

fn counts(files: &[Fixture]) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (which, surface) in SURFACES.iter().enumerate() {
        let name = format!("request.{}.json", surface.name());
        for (n, file) in files.iter().filter(|file| file.name == name).enumerate() {
            let (upstream, answer): (usize, &[u8]) = match n % 2 {
                0 => (0, br#"{"input_tokens":14}"#),
                _ => (1, br#"{"totalTokens":31,"promptTokensDetails":[]}"#),
            };
            let which = (which + upstream * SURFACES.len()) as u8;
            seeds.push([&[which], file.body.as_slice(), &[0], answer].concat());
        }
    }
    seeds
}

fn requests() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (which, (surface, operation)) in PEEKED.iter().enumerate() {
        let name = format!("request.{}.json", surface.name());
        let found = files(operation.name()).into_iter().filter(|file| file.name == name);
        seeds.extend(found.map(|file| [&[which as u8], file.body.as_slice()].concat()));
    }
    seeds
}

/// Errors within streams, and those of embeddings.
fn faults(chat: &[Fixture]) -> Vec<Vec<u8>> {
    let streams =
        chat.iter().filter(|file| ["error_stream", "failed_stream"].contains(&file.case.as_str()));
    let whole = files("embeddings").into_iter().filter(|file| file.case == "errors");
    let whole = whole.filter(|file| file.name.starts_with("upstream"));
    let mut bodies: Vec<Vec<u8>> = whole.map(|file| file.body).collect();
    for file in streams.filter(|file| file.name.starts_with("upstream")) {
        let text = String::from_utf8_lossy(&file.body).into_owned();
        let lines = text.lines().filter_map(|line| line.find('{').and_then(|at| line.get(at..)));
        bodies.extend(
            lines.filter(|line| line.contains("rror")).map(|line| line.as_bytes().to_vec()),
        );
    }
    // 400, 429, 500, 529.
    let statuses = [100u8, 129, 200, 229];
    let all = bodies.iter().enumerate();
    all.map(|(n, body)| [&[statuses[n % 4], b'7', 0], body.as_slice()].concat()).collect()
}

/// A dictionary for libFuzzer: every member's name and short text of these inputs, quoted as JSON
/// has them.
/// <https://llvm.org/docs/LibFuzzer.html#dictionaries>
pub fn words(seeds: &[Vec<u8>]) -> String {
    let mut words: BTreeMap<&[u8], usize> = BTreeMap::new();
    for seed in seeds {
        for word in seed.split(|byte| *byte == b'"') {
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./".contains(byte);
            if (2..=MAX_WORD).contains(&word.len()) && word.iter().all(plain) {
                *words.entry(word).or_default() += 1;
            }
        }
    }
    // What stands there once is a name of somebody's, not of the dialect.
    let known = words.into_iter().filter(|(_, times)| *times > 1);
    let known = known.map(|(word, _)| format!("\"\\\"{}\\\"\"\n", word.escape_ascii()));
    let literals = ["null", "true", "false", "[]", "{}", "1e999", "-1", "18446744073709551615"];
    let literals = literals.iter().map(|word| format!("\"{word}\"\n"));
    known.chain(literals).chain(["\"\\x0a\\x0adata: \"\n".to_owned()]).collect()
}

/// Inputs as text, one on each line: bytes that cannot be read are escaped as in Rust.
pub fn pack<'a>(inputs: impl Iterator<Item = &'a [u8]>) -> String {
    let mut text = String::new();
    for input in inputs {
        for byte in input {
            match byte {
                b'"' | b'\'' => text.push(char::from(*byte)),
                _ => text.extend(byte.escape_ascii().map(char::from)),
            }
        }
        text.push('\n');
    }
    text
}

/// The inputs of such a text.
///
/// # Panics
///
/// Where it is none.
pub fn unpack(text: &str) -> Vec<Vec<u8>> {
    text.lines().map(unescape).collect()
}

fn unescape(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        bytes.extend(plain.as_bytes());
        let (byte, length) = match escaped.as_bytes().first() {
            Some(b'n') => (b'\n', 1),
            Some(b'r') => (b'\r', 1),
            Some(b't') => (b'\t', 1),
            Some(b'\\') => (b'\\', 1),
            Some(b'x') => {
                let digits = escaped.get(1..3).expect("\\x has two digits");
                (u8::from_str_radix(digits, 16).expect("they are hexadecimal"), 3)
            }
            _ => panic!("no such escape: \\{escaped}"),
        };
        bytes.push(byte);
        rest = &escaped[length..];
    }
    bytes.extend(rest.as_bytes());
    bytes
}
