//! `fixtures/embeddings/<case>/request.<surface>.json · upstream.<who>.json`: a snapshot for each
//! case, surface and upstream, and nothing panics whatever comes.

use std::{fmt::Write as _, fs, path::Path};

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;
use tollgate_wire::{
    CannotAsk, Dialect, Exchange, Operation, Target,
    catalogue::builtin,
    exchange::{Payload, exchange},
    peek::peek,
    place::{Lookup, prepare},
};

use crate::fixtures::{SHOWN, concat, dropping, target};

/// Who is asked: a name for the files, the dialect, the model.
const WHO: &[(&str, Dialect, &str)] = &[
    ("openai", Dialect::Openai, "text-embedding-3-small"),
    ("cohere", Dialect::Cohere, "embed-v4.0"),
    ("gemini", Dialect::Gemini, "gemini-embedding-001"),
    ("ollama", Dialect::Ollama, "nomic-embed-text"),
    ("titan", Dialect::Bedrock, "amazon.titan-embed-text-v2:0"),
    ("cohere_bedrock", Dialect::Bedrock, "cohere.embed-english-v3"),
];

/// Who is asked as the catalogue's table has it: a name for the files, the model string, settings.
const PLACES: &[(&str, &str, &str)] = &[
    ("vertex", "vertex_ai/text-embedding-005", VERTEX),
    ("vertex_pictures", "vertex_ai/multimodalembedding@001", VERTEX),
    ("vertex_content", "vertex_ai/gemini-embedding-2", VERTEX),
    ("watsonx", "watsonx/ibm/slate-125m-english-rtrvr-v2", "token=t project_id=p1"),
    ("snowflake", "snowflake/snowflake-arctic-embed-m-v1.5", "api_key=k account_id=org-acct"),
    ("perplexity", "perplexity/pplx-embed-v1-4b", "api_key=k"),
    ("huggingface", "huggingface/BAAI/bge-m3", "api_key=k"),
    ("voyage", "voyage/voyage-3.5", "api_key=k"),
    ("jina", "jina_ai/jina-embeddings-v3", "api_key=k"),
    ("nova", "bedrock/amazon.nova-2-multimodal-embeddings-v1:0", AWS),
    ("marengo", "bedrock/us.twelvelabs.marengo-embed-3-0-v1:0", AWS),
    ("oci", "oci/cohere.embed-v4.0", OCI),
    ("oci_dedicated", "oci/ocid1.generativeaiendpoint.oc1.us-chicago-1.e1", OCI),
    ("marengo_2", "bedrock/twelvelabs.marengo-embed-2-7-v1:0", AWS),
];
const VERTEX: &str = "api_key=k vertex_project=p1 vertex_location=europe-west1";
const OCI: &str = "oci_user=u oci_fingerprint=f oci_tenancy=t oci_key=k oci_region=us-chicago-1 oci_compartment_id=ocid1.compartment.oc1..c1";
const AWS: &str = "api_key=k aws_region_name=us-east-1";

/// Everybody.
fn everybody() -> Vec<(&'static str, Target)> {
    let dialects = WHO.iter().map(|(who, dialect, model)| (*who, to(*dialect, model)));
    dialects
        .chain(PLACES.iter().map(|(who, model, settings)| (*who, at(model, settings))))
        .collect()
}

/// The target that a model string and settings make.
fn at(model: &str, settings: &str) -> Target {
    let (provider, model) = model.split_once('/').unwrap();
    let provider = builtin().provider(provider).unwrap();
    let given = |name: &str| {
        let mut pairs = settings.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    };
    let base = given("api_base");
    let lookup =
        Lookup { param: &given, env: &|_| None, read: &|_| Err("there are no files".to_owned()) };
    let settled = prepare(provider, base.as_deref(), lookup).unwrap().settle(model, None).unwrap();
    let (dialect, below) = settled.provider.speaks.iter().next().unwrap();
    let base = format!("{}{below}", settled.base).into();
    let (dialect, model) = (*dialect, settled.model.as_str().into());
    Target { base, model, provider: settled.provider.into(), ..target(dialect) }
}

fn cases() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|folder| folder.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 10, "fixtures are missing");
    names
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/embeddings")
}

fn file(case: &str, name: &str) -> Option<Bytes> {
    fs::read(root().join(case).join(name)).ok().map(Bytes::from)
}

fn payload(body: Bytes) -> Payload {
    payload_of(Dialect::Openai, body)
}

fn payload_of(surface: Dialect, body: Bytes) -> Payload {
    let peek = peek(surface, Operation::Embeddings, &body).unwrap();
    Payload { body, peek, headers: Vec::new(), received_s: 0 }
}

fn to(dialect: Dialect, model: &str) -> Target {
    Target { model: model.into(), ..target(dialect) }
}

fn asked(to: &Target) -> Box<dyn Exchange> {
    asked_by(Dialect::Openai, to)
}

fn asked_by(surface: Dialect, to: &Target) -> Box<dyn Exchange> {
    exchange(Operation::Embeddings, surface, to, SHOWN)
}

fn pretty(json: &[u8]) -> String {
    let value: Value = serde_json::from_slice(json).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

fn snapshot(case: &str, surface: Dialect, who: &str, to: &Target) -> String {
    let mut out = String::new();
    let Some(request) = file(case, &format!("request.{}.json", surface.name())) else { return out };
    let request = payload_of(surface, request);
    let mut exchange = asked_by(surface, to);
    let mut called = exchange.call(&request, to);
    if let Err(CannotAsk::Unsupported(why)) = &called {
        writeln!(out, "== refused\n{why}").unwrap();
        called = exchange.call(&request, &dropping(to.clone()));
    }
    let called = match called {
        Ok(called) => called,
        Err(_) => return out,
    };
    writeln!(out, "== call {}\n{}", called.path, pretty(&concat(&called.body))).unwrap();
    let others = exchange.others();
    for other in &others {
        writeln!(out, "== beside {}\n{}", other.path, pretty(&concat(&other.body))).unwrap();
    }
    if !exchange.dropped().is_empty() {
        writeln!(out, "== dropped {}", exchange.dropped().join(", ")).unwrap();
    }
    let Some(answer) = file(case, &format!("upstream.{who}.json")) else { return out };
    // Who is called for each text is given the same answer to each.
    match exchange.join(&vec![answer; others.len() + 1]) {
        Ok(reply) => writeln!(out, "== reply\n{}", pretty(&reply)).unwrap(),
        Err(why) => writeln!(out, "== reply malformed: {why}").unwrap(),
    }
    writeln!(out, "== {}", crate::golden::counts(&exchange.usage())).unwrap();
    out
}

#[test]
fn long_lists_take_as_many_calls_as_they_must() {
    let texts: Vec<String> = (0..200).map(|n| format!("text {n}")).collect();
    let body = Bytes::from(serde_json::json!({ "model": "m", "input": texts }).to_string());
    let calls = |who: &str| {
        let (_, to) = everybody().into_iter().find(|(name, _)| *name == who).unwrap();
        let mut exchange = asked(&to);
        let first = exchange.call(&payload(body.clone()), &to).unwrap();
        let calls: Vec<_> = [first].into_iter().chain(exchange.others()).collect();
        let all: String = calls
            .iter()
            .map(|call| String::from_utf8(concat(&call.body).to_vec()).unwrap())
            .collect();
        // Each text once, and in order.
        let places: Vec<_> = texts.iter().map(|text| all.find(&format!("\"{text}\""))).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{who}");
        calls.len()
    };
    let expected = [("openai", 1), ("gemini", 2), ("cohere", 3), ("cohere_bedrock", 3), ("oci", 3)];
    for (who, expected) in expected.into_iter().chain([("titan", 200), ("nova", 200)]) {
        assert_eq!(calls(who), expected, "{who}");
    }
}

#[test]
fn every_case_at_every_upstream() {
    for case in cases() {
        for surface in [Dialect::Openai, Dialect::Cohere] {
            for (who, to) in everybody() {
                let text = snapshot(&case, surface, who, &to);
                if !text.is_empty() {
                    let name = format!("embeddings_{case}@{}-{who}", surface.name());
                    insta::assert_snapshot!(name, text);
                }
            }
        }
    }
}

#[test]
fn defaults_of_the_configuration_fill_gaps_only() {
    let mut to = to(Dialect::Cohere, "embed-v4.0");
    let default = |name: &str, value: &'static str| (name.to_owned(), Bytes::from(value));
    to.defaults = vec![
        default("input_type", "\"search_query\""),
        default("dimensions", "256"),
        default("truncate", "\"START\""),
    ];
    let body = Bytes::from_static(br#"{"model":"m","input":"x","dimensions":8}"#);
    let call = asked(&to).call(&payload(body), &to).unwrap();
    let sent: Value = serde_json::from_slice(&concat(&call.body)).unwrap();
    assert_eq!(sent["input_type"], "search_query");
    assert_eq!(sent["output_dimension"], 8);
    assert_eq!(sent["truncate"], "START");
}

#[test]
fn wrong_inputs_are_refused_by_name() {
    let to = to(Dialect::Cohere, "embed-v4.0");
    for input in ["[]", "[1,\"a\"]", "[\"a\",1]", "[[1],\"a\"]", "[-1]", "[{}]", "[[\"a\"]]"] {
        let body = Bytes::from(format!(r#"{{"model":"m","input":{input}}}"#));
        match asked(&to).call(&payload(body), &to) {
            Err(CannotAsk::Malformed(why)) => {
                assert!(why.param.unwrap().starts_with("input"), "{input}");
            }
            other => panic!("{input}: {other:?}"),
        }
    }
}

fn pass(surface: Dialect, request: Vec<u8>, answer: &[u8]) {
    let request = Bytes::from(request);
    let Ok(peek) = peek(surface, Operation::Embeddings, &request) else { return };
    let request = Payload { body: request, peek, headers: Vec::new(), received_s: 0 };
    for (_, to) in everybody() {
        let to = dropping(to);
        let mut exchange = asked_by(surface, &to);
        if let Ok(call) = exchange.call(&request, &to) {
            serde_json::from_slice::<serde::de::IgnoredAny>(&concat(&call.body)).unwrap();
        }
        if let Ok(reply) = exchange.reply(Bytes::copy_from_slice(answer)) {
            std::str::from_utf8(&reply).unwrap();
        }
        let _ = exchange.usage();
    }
}

fn damaged(which: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let bodies: Vec<Vec<u8>> = cases()
        .iter()
        .flat_map(|case| {
            let whole = fs::read_dir(root().join(case)).unwrap().map(|file| file.unwrap().path());
            let fits = move |path: &std::path::PathBuf| {
                path.file_name().unwrap().to_str().unwrap().starts_with(which)
            };
            whole.filter(fits).map(|path| fs::read(path).unwrap()).collect::<Vec<_>>()
        })
        .collect();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (prop::sample::select(bodies), edits).prop_map(|(mut body, edits)| {
        for (at, byte) in edits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        body
    })
}

proptest! {
    #[test]
    fn damaged_requests_and_answers(request in damaged("request"), answer in damaged("upstream")) {
        for surface in [Dialect::Openai, Dialect::Cohere] {
            pass(surface, request.clone(), &answer);
        }
    }

    #[test]
    fn any_bytes_as_an_answer(answer in prop::collection::vec(any::<u8>(), 0..256)) {
        pass(Dialect::Openai, br#"{"model":"m","input":"x"}"#.to_vec(), &answer);
    }
}
