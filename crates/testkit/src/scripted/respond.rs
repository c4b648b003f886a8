//! From a request to its answer.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{
    CREATED_S, Recorded, Shared, anthropic, bedrock,
    body::{Ending, Paced, Watch},
    cohere, embeddings, gemini, lock, oci, ollama, openai, place,
    refuse::Refuse,
    replicate,
    reply::{Flavour, Reply, What},
    responses,
    said::{Said, say},
    stored,
};

/// Below this path messages take a bearer key, as Apertis' do; Anthropic's own take none.
/// <https://docs.apertis.ai/api/text-generation/messages>
const APERTIS: &str = "/apertis";

/// How most others stream.
const SSE: &str = "text/event-stream; charset=utf-8";
/// How Amazon's services stream.
const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";
/// Google's paths begin so; the model is part of them.
const GOOGLE: &str = "/v1beta/models";

/// How an error is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    OpenAi,
    Anthropic,
    Cohere,
    Ollama,
    Bedrock,
    Gemini,
    Oci,
    Replicate,
}

impl Spelling {
    /// Of the API that has this path.
    fn of(path: &str) -> Self {
        match path {
            "/v2/chat" | "/v2/embed" => Spelling::Cohere,
            path if path.starts_with("/api/") => Spelling::Ollama,
            path if bedrock::named(path).is_some() => Spelling::Bedrock,
            oci::PATH | oci::EMBED_PATH => Spelling::Oci,
            path if path.starts_with("/messages") => Spelling::Anthropic,
            _ => Spelling::OpenAi,
        }
    }
}

/// A checked request of any dialect.
pub(super) enum Ask {
    OpenAi(openai::Ask),
    Anthropic(anthropic::Ask),
    Cohere(cohere::Ask),
    Ollama(ollama::Ask),
    Bedrock(bedrock::Ask),
    Oci(oci::Ask),
    Responses(responses::Ask),
    Gemini(gemini::Ask),
    /// A prediction's stream.
    Replicate(replicate::Stream),
    /// Google's count: `totalTokens`.
    GeminiCount(String, u64),
    /// Bedrock's: `inputTokens`.
    BedrockCount(String, u64),
    Embeddings(String, Value),
    CountTokens(String, u64),
}

pub(super) async fn respond(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> io::Result<Response<Paced>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let recorded = Recorded {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        version: head.version,
        headers: head.headers,
        body,
    };
    let serial = shared.serial.fetch_add(1, Ordering::SeqCst) + 1;
    let watch = Watch::new(Arc::clone(&shared.hangups));
    if let Some(what) = recorded.path.strip_prefix("/_scripted/") {
        return Ok(json_answer(200, &control(&shared, what, &recorded), watch));
    }
    lock(&shared.requests).push(recorded.clone());
    let recorded = match place::own(&shared, &recorded) {
        Ok(own) => own,
        Err(refuse) => return Ok(refusal(&refuse, Spelling::OpenAi, serial, watch)),
    };
    if let Some(keys) = bedrock::aws::keys(&recorded) {
        return Ok(match keys {
            Ok((content_type, text)) => answer(200, content_type, text.into(), watch),
            Err(refuse) => refusal(&refuse, Spelling::Bedrock, serial, watch),
        });
    }
    let watch = match replicate::respond(&shared, &recorded, serial, watch).await {
        Ok(answer) => return answer,
        Err(watch) => watch,
    };
    let path = recorded.path.strip_prefix(APERTIS).unwrap_or(&recorded.path);
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let spelling = match recorded.path.starts_with(GOOGLE) {
        true => Spelling::Gemini,
        false => Spelling::of(path),
    };
    let outcome = match (&recorded.method, path) {
        (&Method::GET | &Method::DELETE | &Method::POST, _) if path.starts_with("/responses/") => {
            authorise(&shared, &recorded, Spelling::OpenAi)
                .and_then(|()| stored::find(&shared, path, &recorded))
                .map(Outcome::Stored)
        }
        (&Method::GET, _) => list(&shared, path, &recorded, spelling).map(Outcome::Json),
        (&Method::POST, _) => ask(&shared, path, &recorded, spelling, serial),
        _ => Err(Refuse::new(405, "Not allowed to use this method on this path.")),
    };
    match outcome {
        Ok(Outcome::Json(value)) => Ok(json_answer(200, &value, watch)),
        Ok(Outcome::Stored(stored::Found::Whole(value))) => Ok(json_answer(200, &value, watch)),
        Ok(Outcome::Stored(stored::Found::Events(frames))) => {
            let body = Paced::new(frames, None, Duration::ZERO, Ending::Clean, watch);
            Ok(response(200, SSE, serial, body))
        }
        Ok(Outcome::Scripted(ask, reply)) => {
            if let Ask::Responses(ask) = &*ask
                && ask.store
            {
                stored::store(&shared, ask, &reply, serial);
            }
            perform(*ask, *reply, spelling, serial, watch).await
        }
        Err(refuse) => Ok(refusal(&refuse, spelling, serial, watch)),
    }
}

enum Outcome {
    Json(Value),
    Stored(stored::Found),
    Scripted(Box<Ask>, Box<Reply>),
}

/// The tests' own door: what came in so far, and what to answer next.
fn control(shared: &Shared, what: &str, recorded: &Recorded) -> Value {
    match what {
        "requests" => {
            let requests = lock(&shared.requests);
            let list: Vec<Value> = requests.iter().map(describe).collect();
            json!({"requests": list, "hangups": shared.hangups.load(Ordering::SeqCst)})
        }
        "forget" => {
            lock(&shared.requests).clear();
            lock(&shared.queue).clear();
            json!({})
        }
        "finish" => {
            stored::finish(shared);
            json!({})
        }
        "script" => {
            let words = recorded.json();
            let words = words.as_array().into_iter().flatten().filter_map(Value::as_str);
            for word in words {
                let reply = Reply::named(word);
                lock(&shared.queue).push_back(reply.expect("a reply that this upstream knows"));
            }
            json!({"queued": lock(&shared.queue).len()})
        }
        _ => json!({"error": "no such control"}),
    }
}

fn describe(request: &Recorded) -> Value {
    let headers: serde_json::Map<String, Value> = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    json!({
        "method": request.method.as_str(), "path": request.path, "query": request.query,
        "headers": headers, "json": request.json(),
        "text": String::from_utf8_lossy(&request.body),
    })
}

pub(super) fn authorise(
    shared: &Shared,
    recorded: &Recorded,
    spelling: Spelling,
) -> Result<(), Refuse> {
    if spelling == Spelling::Bedrock {
        return bedrock::aws::authorise(recorded, "bedrock");
    }
    if spelling == Spelling::Oci {
        return oci::authorise(recorded);
    }
    let text = |name: &str| {
        recorded.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
    };
    let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let key = match spelling {
        Spelling::OpenAi | Spelling::Cohere | Spelling::Ollama => bearer,
        Spelling::Bedrock | Spelling::Oci | Spelling::Replicate => bearer,
        Spelling::Anthropic if recorded.path.starts_with(APERTIS) => text("x-api-key").or(bearer),
        Spelling::Anthropic => text("x-api-key"),
        Spelling::Gemini => text("x-goog-api-key"),
    };
    let right = match (key, &*lock(&shared.key)) {
        (None | Some(""), _) => false,
        (Some(_), None) => true,
        (Some(key), Some(wanted)) => key == wanted,
    };
    match (right, spelling, key) {
        (true, ..) => Ok(()),
        // A server of one's own asks for no key.
        (false, Spelling::Ollama, None) if lock(&shared.key).is_none() => Ok(()),
        (false, Spelling::Ollama, _) => Err(Refuse::new(401, "unauthorized")),
        (false, Spelling::Cohere, None) => Err(Refuse::new(401, "no api key supplied")),
        (false, Spelling::Cohere, Some(_)) => Err(Refuse::new(401, "invalid api token")),
        (false, Spelling::Gemini, None) => Err(Refuse::new(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.",
        )),
        (false, Spelling::Gemini, Some(_)) => Err(Refuse {
            code: Some("API_KEY_INVALID"),
            ..Refuse::new(400, "API key not valid. Please pass a valid API key.")
        }),
        (false, Spelling::Anthropic, None) => Err(Refuse::new(401, "x-api-key header is required")),
        (false, Spelling::Anthropic, Some(_)) => Err(Refuse::new(401, "invalid x-api-key")),
        (false, Spelling::Bedrock, _) => Err(Refuse::new(403, "Missing Authentication Token")),
        (false, Spelling::Replicate, _) => {
            Err(Refuse::new(401, "You did not pass a valid authentication token"))
        }
        (false, Spelling::Oci, _) => Err(Refuse::new(
            401,
            "The required information to complete authentication was not provided.",
        )),
        (false, Spelling::OpenAi, None) => Err(Refuse::new(401, "You didn't provide an API key.")),
        (false, Spelling::OpenAi, Some(key)) => {
            Err(Refuse::new(401, format!("Incorrect API key provided: {key}.")))
        }
    }
}

fn list(
    shared: &Shared,
    path: &str,
    recorded: &Recorded,
    spelling: Spelling,
) -> Result<Value, Refuse> {
    authorise(shared, recorded, spelling)?;
    let model = |name: &String| json!({"id": name, "object": "model", "created": CREATED_S, "owned_by": "scripted"});
    let models = lock(&shared.models);
    if path == "/models" {
        let data: Vec<Value> = models.iter().map(model).collect();
        return Ok(json!({"object": "list", "data": data}));
    }
    let name = path.strip_prefix("/models/").unwrap_or_default();
    models
        .get(name)
        .map(model)
        .ok_or_else(|| Refuse::new(404, format!("Invalid URL (GET {})", recorded.path)))
}

fn ask(
    shared: &Shared,
    path: &str,
    recorded: &Recorded,
    spelling: Spelling,
    serial: u64,
) -> Result<Outcome, Refuse> {
    authorise(shared, recorded, spelling)?;
    if spelling == Spelling::Anthropic && recorded.header("anthropic-version").is_empty() {
        return Err(Refuse::new(400, "anthropic-version: header is required"));
    }
    if !recorded.header("content-type").starts_with("application/json") {
        return Err(Refuse::new(400, "Expected a content-type of application/json."));
    }
    let body: Value = serde_json::from_slice(&recorded.body).map_err(|why| {
        Refuse::new(400, format!("We could not parse the JSON body of your request: {why}"))
    })?;
    let ask = match path {
        _ if spelling == Spelling::Gemini => google(recorded, &body)?,
        "/chat/completions" => Ask::OpenAi(openai::check(&body)?),
        "/responses" => Ask::Responses(responses::check(&body)?),
        "/embeddings" => {
            let (model, answer) = embeddings::answer(&body)?;
            Ask::Embeddings(model, answer)
        }
        "/v2/chat" => Ask::Cohere(cohere::check(&body)?),
        "/v2/embed" => {
            let (model, answer) = cohere::embed(&body, serial)?;
            Ask::Embeddings(model, answer)
        }
        "/api/chat" => Ask::Ollama(ollama::check(&body)?),
        oci::PATH => Ask::Oci(oci::check(&body)?),
        oci::EMBED_PATH => {
            let (model, answer) = oci::embed(&body)?;
            Ask::Embeddings(model, answer)
        }
        "/api/embed" => {
            let (model, answer) = ollama::embed(&body)?;
            Ask::Embeddings(model, answer)
        }
        path if spelling == Spelling::Bedrock => {
            match bedrock::named(path).unwrap_or_else(|| (String::new(), bedrock::Action::Whole)) {
                (model, bedrock::Action::Count) => {
                    let words = bedrock::count(&body, &model)?;
                    Ask::BedrockCount(model, words)
                }
                (model, bedrock::Action::Invoke) => {
                    let answer = bedrock::embed(&body, &model)?;
                    Ask::Embeddings(model, answer)
                }
                (model, action) => {
                    let stream = action == bedrock::Action::Stream;
                    Ask::Bedrock(bedrock::check(&body, model, stream)?)
                }
            }
        }
        "/messages" => Ask::Anthropic(anthropic::check::check(&body, false)?),
        "/messages/count_tokens" => {
            let ask = anthropic::check::check(&body, true)?;
            Ask::CountTokens(ask.model, ask.prompt.words.max(1))
        }
        _ => return Err(Refuse::new(404, format!("Invalid URL (POST {})", recorded.path))),
    };
    let model = match &ask {
        Ask::OpenAi(ask) => &ask.model,
        Ask::Anthropic(ask) => &ask.model,
        Ask::Cohere(ask) => &ask.model,
        Ask::Ollama(ask) => &ask.model,
        Ask::Bedrock(ask) => &ask.model,
        Ask::Oci(ask) => &ask.model,
        Ask::Responses(ask) => &ask.model,
        Ask::Gemini(ask) => &ask.model,
        Ask::Replicate(_) => "",
        Ask::Embeddings(model, _) | Ask::CountTokens(model, _) => model,
        Ask::GeminiCount(model, _) | Ask::BedrockCount(model, _) => model,
    };
    let (base, words) = model.split_once('+').unwrap_or((model, ""));
    let known = match spelling {
        Spelling::Bedrock => bedrock::exists(base) || lock(&shared.models).contains(base),
        Spelling::Oci => oci::exists(base) || lock(&shared.models).contains(base),
        _ => lock(&shared.models).contains(base),
    };
    let reply = Reply::named(words).filter(|_| known);
    let reply = reply.ok_or_else(|| unknown_model(model, spelling))?;
    if let Ask::Responses(ask) = &ask
        && let Some(previous) = &ask.previous
        && !lock(&shared.stored).contains_key(previous)
    {
        return Err(responses::not_found(previous));
    }
    let reply = lock(&shared.queue).pop_front().unwrap_or(reply);
    Ok(Outcome::Scripted(Box::new(ask), Box::new(reply)))
}

/// Google's paths name the model and what is wanted of it.
fn google(recorded: &Recorded, body: &Value) -> Result<Ask, Refuse> {
    let nowhere = || Refuse::new(404, format!("Requested entity was not found: {}", recorded.path));
    let named = recorded.path.strip_prefix("/v1beta/models/");
    let (model, method) = named.and_then(|rest| rest.rsplit_once(':')).ok_or_else(nowhere)?;
    let model = model.replace("%2B", "+");
    let events = recorded.query.as_deref().is_some_and(|query| query.contains("alt=sse"));
    let stream = match method {
        "countTokens" => {
            let words = gemini::check::count(base_of(&model), body)?;
            return Ok(Ask::GeminiCount(model, words));
        }
        "generateContent" => gemini::Stream::No,
        "streamGenerateContent" if events => gemini::Stream::Events,
        "streamGenerateContent" => gemini::Stream::List,
        _ => return Err(nowhere()),
    };
    Ok(Ask::Gemini(gemini::check::check(&model, body, stream)?))
}

/// A model's name without the words of a script.
fn base_of(model: &str) -> &str {
    model.split_once('+').map_or(model, |(base, _)| base)
}

fn unknown_model(model: &str, spelling: Spelling) -> Refuse {
    match spelling {
        Spelling::OpenAi => Refuse {
            code: Some("model_not_found"),
            ..Refuse::new(
                404,
                format!("The model `{model}` does not exist or you do not have access to it."),
            )
        },
        Spelling::Anthropic => Refuse::new(404, format!("model: {model}")),
        Spelling::Cohere => Refuse::new(
            404,
            format!(
                "model '{model}' not found, make sure the correct model ID was used and that you have access to the model."
            ),
        ),
        Spelling::Ollama => Refuse::new(404, format!("model '{model}' not found")),
        Spelling::Bedrock => Refuse::new(400, "The provided model identifier is invalid."),
        Spelling::Oci => Refuse::new(404, format!("Entity with key {model} not found")),
        Spelling::Replicate => Refuse::new(404, "The requested resource could not be found."),
        Spelling::Gemini => Refuse::new(
            404,
            format!(
                "models/{model} is not found for API version v1beta, or is not supported for generateContent."
            ),
        ),
    }
}

pub(super) async fn perform(
    ask: Ask,
    reply: Reply,
    spelling: Spelling,
    serial: u64,
    watch: Watch,
) -> io::Result<Response<Paced>> {
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    let (status, content_type, frames) = match &reply.what {
        What::Hang => {
            std::future::pending::<()>().await;
            return Err(io::Error::other("never reached"));
        }
        What::Drop => {
            let mut watch = watch;
            watch.finish();
            return Err(io::Error::other("dropped by script"));
        }
        What::Error { status, flavour } => {
            let mut answer = refusal(&flavoured(*status, *flavour), spelling, serial, watch);
            add_headers(&mut answer, &reply);
            return Ok(answer);
        }
        What::Raw { status, content_type, frames } => {
            (*status, content_type.clone(), frames.clone())
        }
        What::Auto | What::Text(_) | What::Calls(_) => {
            let (content_type, frames) = speak(&ask, &reply, serial);
            (200, content_type.to_owned(), frames)
        }
    };
    let chunked = ["text/event-stream", "application/x-ndjson", EVENT_STREAM]
        .iter()
        .any(|streamed| content_type.starts_with(streamed));
    let declared = (!chunked).then(|| frames.iter().map(|f| f.len() as u64).sum());
    let (frames, ending) = shorten(frames, &reply);
    let body = Paced::new(frames, declared, reply.gap, ending, watch);
    let mut answer = response(status, &content_type, serial, body);
    add_headers(&mut answer, &reply);
    Ok(answer)
}

fn speak(ask: &Ask, reply: &Reply, serial: u64) -> (&'static str, Vec<Bytes>) {
    const JSON: &str = "application/json";
    let whole = |value: Value| (JSON, vec![Bytes::from(value.to_string())]);
    let said = |prompt| -> Said { say(prompt, reply) };
    match ask {
        Ask::OpenAi(ask) if ask.stream => {
            (SSE, openai::events(&said(&ask.prompt), ask, reply, serial))
        }
        Ask::OpenAi(ask) => whole(openai::whole(&said(&ask.prompt), ask, reply, serial)),
        Ask::Anthropic(ask) if ask.stream => {
            (SSE, anthropic::events(&said(&ask.prompt), ask, reply, serial))
        }
        Ask::Anthropic(ask) => whole(anthropic::whole(&said(&ask.prompt), ask, reply, serial)),
        Ask::Cohere(ask) if ask.stream => {
            (SSE, cohere::events(&said(&ask.prompt), ask, reply, serial))
        }
        Ask::Cohere(ask) => whole(cohere::whole(&said(&ask.prompt), ask, reply, serial)),
        Ask::Ollama(ask) if ask.stream => {
            const LINES: &str = "application/x-ndjson";
            (LINES, ollama::lines(&said(&ask.prompt), ask, reply, serial))
        }
        Ask::Ollama(ask) => whole(ollama::whole(&said(&ask.prompt), ask, reply, serial)),
        Ask::Bedrock(ask) if ask.stream => {
            (EVENT_STREAM, bedrock::events(&said(&ask.prompt), reply, serial))
        }
        Ask::Bedrock(ask) => whole(bedrock::whole(&said(&ask.prompt), reply, serial)),
        Ask::Oci(ask) if ask.stream => (SSE, oci::events(&said(&ask.prompt), ask, reply, serial)),
        Ask::Oci(ask) => whole(oci::whole(&said(&ask.prompt), ask, reply, serial)),
        Ask::Responses(ask) if ask.stream => {
            (SSE, responses::events(&said(&ask.prompt), ask, reply, serial))
        }
        Ask::Responses(ask) if ask.background => whole(responses::queued(ask, serial)),
        Ask::Responses(ask) => whole(responses::whole(&said(&ask.prompt), ask, serial)),
        Ask::Gemini(ask) => match ask.stream {
            gemini::Stream::No => whole(gemini::whole(&said(&ask.prompt), ask, reply, serial)),
            gemini::Stream::Events => (SSE, gemini::events(&said(&ask.prompt), ask, reply, serial)),
            gemini::Stream::List => (JSON, gemini::events(&said(&ask.prompt), ask, reply, serial)),
        },
        Ask::Replicate(stream) => (SSE, replicate::events(stream, reply)),
        Ask::GeminiCount(_, words) => whole(json!({"totalTokens": words})),
        Ask::BedrockCount(_, words) => whole(json!({"inputTokens": words})),
        Ask::Embeddings(_, answer) => whole(answer.clone()),
        Ask::CountTokens(_, words) => whole(json!({"input_tokens": words})),
    }
}

/// Keeps the part of the frames that the script lets through.
fn shorten(mut frames: Vec<Bytes>, reply: &Reply) -> (Vec<Bytes>, Ending) {
    if let Some(events) = reply.stall_after {
        frames.truncate(events);
        return (frames, Ending::Stall);
    }
    let Some(mut left) = reply.cut_at else { return (frames, Ending::Clean) };
    for frame in &mut frames {
        frame.truncate(left);
        left -= frame.len();
    }
    frames.retain(|frame| !frame.is_empty());
    (frames, Ending::Cut)
}

fn flavoured(status: u16, flavour: Flavour) -> Refuse {
    match flavour {
        Flavour::ContextWindow => Refuse::bad(
            "messages",
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens: prompt is too long.",
            "context_length_exceeded",
        ),
        Flavour::ContentPolicy => Refuse {
            code: Some("content_policy_violation"),
            ..Refuse::new(
                status,
                "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a different prompt.",
            )
        },
        Flavour::Quota => Refuse {
            code: Some("insufficient_quota"),
            ..Refuse::new(
                status,
                "You exceeded your current quota, please check your plan and billing details.",
            )
        },
        Flavour::Plain => {
            let reason = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason());
            Refuse::new(status, format!("scripted {status}: {}", reason.unwrap_or("trouble")))
        }
    }
}

pub(super) fn refusal(
    refuse: &Refuse,
    spelling: Spelling,
    serial: u64,
    watch: Watch,
) -> Response<Paced> {
    let body = match spelling {
        Spelling::OpenAi => openai::error(refuse),
        Spelling::Anthropic => anthropic::error(refuse, serial),
        Spelling::Cohere => cohere::error(refuse, serial),
        Spelling::Ollama => ollama::error(refuse),
        Spelling::Bedrock => bedrock::error(refuse),
        Spelling::Oci => oci::error(refuse),
        Spelling::Gemini => gemini::error(refuse),
        Spelling::Replicate => replicate::error(refuse),
    };
    let mut answer = json_answer(refuse.status, &body, watch);
    if spelling == Spelling::Bedrock {
        let name = bedrock::error_type(refuse);
        let value = format!("{name}:http://internal.amazon.com/coral/com.amazon.bedrock/");
        answer.headers_mut().insert("x-amzn-errortype", value.parse().expect("a header value"));
    }
    answer
}

pub(super) fn json_answer(status: u16, value: &Value, watch: Watch) -> Response<Paced> {
    answer(status, "application/json", value.to_string().into(), watch)
}

fn answer(status: u16, content_type: &str, frame: Bytes, watch: Watch) -> Response<Paced> {
    let length = Some(frame.len() as u64);
    let body = Paced::new(vec![frame], length, Duration::ZERO, Ending::Clean, watch);
    response(status, content_type, 0, body)
}

fn response(status: u16, content_type: &str, serial: u64, body: Paced) -> Response<Paced> {
    let mut answer = Response::builder().status(status).header(header::CONTENT_TYPE, content_type);
    if serial > 0 {
        // OpenAI's, Anthropic's and Amazon's names for the same thing.
        let id = format!("req_{serial:06}");
        answer = answer.header("x-request-id", &id).header("request-id", &id);
        answer = answer.header("x-amzn-requestid", &id);
    }
    answer.body(body).expect("a scripted head is well formed")
}

pub(super) fn add_headers(answer: &mut Response<Paced>, reply: &Reply) {
    for (name, value) in &reply.headers {
        let name = http::HeaderName::try_from(name).expect("a header name");
        answer.headers_mut().insert(name, value.parse().expect("a header value"));
    }
}
