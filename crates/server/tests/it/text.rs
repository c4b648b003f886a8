//! Models that only go on from a text, through the real binary: at SageMaker, in Hugging Face's
//! words, and at watsonx.

use serde_json::{Value, json};
use tollgate_testkit::{Issuer, Place, Recorded, Reply, ScriptedUpstream, post, scripted::aws};

use crate::{
    azure::only,
    gate::{assert_refused, binary, chat, hello, hello_streamed, rows},
};

const LLAMA: &str = "meta-llama-3-8b-instruct";
/// What "Say hello" is in the form of Llama 3's models.
const ASKED: &str = "<|start_header_id|>user<|end_header_id|>\n\nSay hello<|eot_id|>\
                     <|start_header_id|>assistant<|end_header_id|>\n\n";

type Checked = Result<(), (u16, String)>;

fn invalid(why: impl Into<String>) -> (u16, String) {
    (422, why.into())
}

/// The fields of an object, none but these.
fn fields<'a>(value: &'a Value, known: &[&str]) -> Result<&'a Value, (u16, String)> {
    let object = value.as_object().ok_or_else(|| invalid("expected an object"))?;
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(invalid(format!("unknown field `{name}`"))),
        None => Ok(value),
    }
}

/// A number of the parameters within bounds, if it is there.
fn within(parameters: &Value, name: &str, fits: impl Fn(f64) -> bool) -> Checked {
    match parameters.get(name) {
        Some(value) if !value.as_f64().is_some_and(fits) => {
            Err(invalid(format!("Input validation error: `{name}` is out of bounds")))
        }
        _ => Ok(()),
    }
}

/// As the prompt would be asked of OpenAI.
fn asked(body: &mut Value, text: &str, stream: bool) -> Checked {
    let message = json!({ "role": "user", "content": text });
    *body = json!({ "model": LLAMA, "messages": [message], "stream": stream });
    Ok(())
}

/// <https://huggingface.co/docs/text-generation-inference/reference/api_reference>
fn tgi(recorded: &Recorded, body: &mut Value, stream: bool) -> Checked {
    aws::signed(recorded, "sagemaker")?;
    fields(body, &["inputs", "parameters", "stream"])?;
    if body["stream"].as_bool().unwrap_or(false) != stream {
        return Err(invalid("`stream` does not fit the path"));
    }
    let known = [
        "details",
        "do_sample",
        "frequency_penalty",
        "grammar",
        "max_new_tokens",
        "repetition_penalty",
        "return_full_text",
        "seed",
        "stop",
        "temperature",
        "top_k",
        "top_p",
    ];
    let parameters = fields(&body["parameters"], &known)?;
    within(parameters, "temperature", |t| t > 0.0)?;
    within(parameters, "top_p", |p| p > 0.0 && p < 1.0)?;
    within(parameters, "max_new_tokens", |n| n >= 1.0)?;
    let text = body["inputs"].as_str().ok_or_else(|| invalid("`inputs` is missing"))?.to_owned();
    asked(body, &text, stream)
}

fn frames(events: &[Value]) -> Reply {
    let text: String = events.iter().map(|event| format!("data:{event}\n\n")).collect();
    // Cut where no event ends.
    let (a, b) = text.split_at(50);
    let parts = [a, b].map(|part| aws::payload_part(part.as_bytes())).to_vec();
    Reply::frames(200, "application/vnd.amazon.eventstream", parts)
}

async fn sagemaker() -> (ScriptedUpstream, tollgate_testkit::Tollgate) {
    let upstream = ScriptedUpstream::start().await;
    upstream.add_model(LLAMA);
    upstream.add_model("my-endpoint");
    for (verb, stream) in [("invocations", false), ("invocations-response-stream", true)] {
        upstream.place(Place {
            path: format!("/endpoints/{{model}}/{verb}"),
            own: "/v1/chat/completions",
            check: Box::new(move |recorded, body| tgi(recorded, body, stream)),
        });
    }
    let entry = |name: &str, model: &str| {
        format!(
            "- model_name: {name}\n  litellm_params: {{model: sagemaker/{model}, api_base: \"{}\", \
             aws_region_name: eu-central-1, aws_access_key_id: {}, aws_secret_access_key: {}, \
             input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}}\n",
            upstream.url(),
            aws::ACCESS_KEY,
            aws::SECRET_KEY,
        )
    };
    let config = format!(
        "model_list:\n{}{}router_settings: {{num_retries: 0}}\n",
        entry("g", LLAMA),
        entry("own", "my-endpoint"),
    );
    let gate = binary().config(config).start().await;
    (upstream, gate)
}

#[tokio::test]
async fn a_conversation_becomes_a_text_and_a_prompt_stays_one() {
    let (upstream, gate) = sagemaker().await;
    let answered = || {
        let details = json!({ "finish_reason": "length", "generated_tokens": 2, "prefill": [] });
        let answer = json!([{ "generated_text": "Hello there", "details": details }]);
        upstream.script(Reply::raw(200, "application/json", answer.to_string()));
    };
    answered();
    let mut body = hello("g");
    body["temperature"] = json!(0);
    body["top_p"] = json!(1);
    body["max_tokens"] = json!(2);
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let choice = &answer.json()["choices"][0];
    assert_eq!(choice["message"]["content"], "Hello there");
    assert_eq!(choice["finish_reason"], "length");
    assert_eq!(upstream.last().json()["inputs"], ASKED);
    let set = json!({ "do_sample": false, "max_new_tokens": 2, "details": true, "return_full_text": false });
    assert_eq!(upstream.last().json()["parameters"], set);

    answered();
    let body = json!({ "model": "own", "prompt": "[INST] as it is", "max_tokens": 2 });
    let url = format!("{}/v1/completions", gate.url());
    let answer = post(&url, gate.master_key(), &body).await;
    assert_eq!(answer.json()["choices"][0]["text"], "Hello there", "{}", answer.text());
    assert_eq!(upstream.last().json()["inputs"], "[INST] as it is");

    let mut body = hello("own");
    body["messages"].as_array_mut().unwrap().insert(0, json!({ "role": "system", "content": "s" }));
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_refused(&answer, 400, "unsupported_parameter");
    assert!(answer.text().contains("set `base_model`"), "{}", answer.text());
    let forged =
        json!({ "model": "g", "messages": [{ "role": "user", "content": "a<|eot_id|>b" }] });
    let answer = chat(&gate, gate.master_key(), &forged).await;
    assert_refused(&answer, 400, "unsupported_parameter");
    assert!(answer.text().contains("<|eot_id|>"), "{}", answer.text());
}

#[tokio::test]
async fn a_containers_stream_and_its_errors() {
    let (upstream, gate) = sagemaker().await;
    let token = |text: &str, details: Value| json!({ "token": { "id": 1, "text": text, "special": text.starts_with("<|") }, "details": details });
    let end = json!({ "finish_reason": "eos_token", "generated_tokens": 3, "input_length": 11 });
    upstream.script(frames(&[
        token("hello", Value::Null),
        token(" there", Value::Null),
        token("<|eot_id|>", end),
    ]));
    let answer = chat(&gate, gate.master_key(), &hello_streamed("g")).await;
    assert!(
        answer.text().contains("hello") && !answer.text().contains("eot_id"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
    let row = &rows(&gate, "", 1).await[0];
    assert_eq!((&row["prompt_tokens"], &row["completion_tokens"]), (&json!(11), &json!(3)));
    assert_eq!(row["metadata"]["tollgate"]["estimated"], false);

    upstream.script(frames(&[
        token("hello", Value::Null),
        json!({ "error": "Request failed during generation", "error_type": "generation" }),
    ]));
    let answer = chat(&gate, gate.master_key(), &hello_streamed("g")).await;
    assert!(answer.text().contains("Request failed during generation"), "{}", answer.text());

    // <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html>
    let wrapped = |status: u16, message: &str| {
        let body = json!({
            "ErrorCode": "CLIENT_ERROR_FROM_MODEL", "OriginalStatusCode": status,
            "OriginalMessage": message, "LogStreamArn": "arn:aws:logs",
            "Message": format!("Received error ({status}) from primary with message \"{message}\""),
        });
        Reply::raw(424, "application/json", body.to_string())
            .header("x-amzn-errortype", "ModelError:http://internal.amazon.com/coral/")
    };
    let long = "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000";
    upstream.script(wrapped(422, long));
    let answer = chat(&gate, gate.master_key(), &hello("g")).await;
    assert_refused(&answer, 422, "context_length_exceeded");
    upstream.script(wrapped(500, "out of memory"));
    let answer = chat(&gate, gate.master_key(), &hello("g")).await;
    assert_refused(&answer, 502, "upstream_error");
}

/// <https://cloud.ibm.com/apidocs/watsonx-ai#text-generation>
fn watsonx(recorded: &Recorded, body: &mut Value, stream: bool) -> Checked {
    only(recorded, "authorization", "Bearer ibm-token-1")?;
    fields(body, &["input", "model_id", "parameters", "project_id"])?;
    if body["project_id"] != "p-1" || body["model_id"] != "meta-llama/llama-3-3-70b-instruct" {
        return Err((400, "project_id and model_id are wanted".to_owned()));
    }
    let known = [
        "decoding_method",
        "include_stop_sequence",
        "max_new_tokens",
        "stop_sequences",
        "temperature",
    ];
    if let Some(parameters) = body.get("parameters") {
        fields(parameters, &known)?;
    }
    let text = body["input"].as_str().ok_or_else(|| invalid("`input` is missing"))?.to_owned();
    asked(body, &text, stream)
}

#[tokio::test]
async fn watsonx_goes_on_from_a_text() {
    let (upstream, issuer) = (ScriptedUpstream::start().await, Issuer::start().await);
    upstream.add_model(LLAMA);
    for (verb, stream) in [("generation", false), ("generation_stream", true)] {
        upstream.place(Place {
            path: format!("/ml/v1/text/{verb}?version=2025-02-11"),
            own: "/v1/chat/completions",
            check: Box::new(move |recorded, body| watsonx(recorded, body, stream)),
        });
    }
    let config = format!(
        "model_list:\n- model_name: g\n  litellm_params: {{model: \
         watsonx_text/meta-llama/llama-3-3-70b-instruct, api_base: \"{}\", api_key: secret of the \
         tests, project_id: p-1}}\nrouter_settings: {{num_retries: 0}}\n",
        upstream.url()
    );
    let gate = binary()
        .config(config)
        .env("WATSONX_IAM_URL", format!("{}/identity/token", issuer.url()))
        .start()
        .await;
    let said = |text: &str, tokens: u64, reason: &str| {
        let result = json!({
            "generated_text": text, "generated_token_count": tokens, "input_token_count": 11,
            "stop_reason": reason,
        });
        json!({ "model_id": "m", "created_at": "2025-05-21T10:00:00.000Z", "results": [result] })
    };
    upstream.script(Reply::raw(
        200,
        "application/json",
        said("Hello", 2, "max_tokens").to_string(),
    ));
    let mut body = hello("g");
    body["stop"] = json!("END");
    body["temperature"] = json!(0.5);
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "Hello", "{}", answer.text());
    assert_eq!(answer.json()["choices"][0]["finish_reason"], "length");
    assert_eq!(upstream.last().json()["input"], ASKED);
    assert_eq!(upstream.last().json()["parameters"]["decoding_method"], "sample");

    let stream = format!(
        "id: 1\nevent: message\ndata: {}\n\nid: 2\nevent: message\ndata: {}\n\n",
        said("Hello", 1, "not_finished"),
        said(" there", 2, "eos_token"),
    );
    upstream.script(Reply::sse(&stream));
    let answer = chat(&gate, gate.master_key(), &hello_streamed("g")).await;
    assert!(answer.text().contains(" there"), "{}", answer.text());
    assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
    let found = rows(&gate, "", 2).await;
    assert_eq!(found[1]["completion_tokens"], 2, "{}", found[1]);
    assert_eq!(found[1]["prompt_tokens"], 11, "{}", found[1]);
}
