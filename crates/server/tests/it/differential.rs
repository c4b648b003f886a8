//! F27: bodies that parsers read differently. The model that the upstream is asked for is the one
//! that the usage row names, or the request is refused.

use serde_json::Value;
use tollgate_testkit::call;

use crate::gate::{base, look, upstream, with_models};

const BODIES: usize = 2_000;
/// Both are served, so that either would be answered.
const NAMES: [&str; 2] = ["gpt-4o", "gpt-4o-mini"];

/// One body; a seed gives the same ones each time.
fn body(rng: &mut fastrand::Rng) -> String {
    let mut members: Vec<String> = Vec::new();
    for _ in 0..rng.usize(0..4) {
        let name =
            *rng.choice(&["model", "Model", "MODEL", "stream", "mode", "user", "x"]).unwrap();
        let value = match name {
            "stream" => rng.choice(&["true", "false", "null", "1"]).unwrap().to_string(),
            "user" | "x" => decoy(rng),
            _ => format!("\"{}\"", one_of_both(rng)),
        };
        members.push(format!("{}\"{}\"{}:{value}", space(rng), spelled(rng, name), space(rng)));
    }
    let model = one_of_both(rng);
    let model = format!("\"{}\":{}\"{model}\"{}", spelled(rng, "model"), space(rng), space(rng));
    let messages = r#""messages":[{"role":"user","content":"\",\"model\":\"gpt-4o-mini\""}]"#;
    for member in [model, messages.to_owned()] {
        let at = rng.usize(..=members.len());
        members.insert(at, member);
    }
    format!("{}{{{}}}{}", space(rng), members.join(","), space(rng))
}

fn one_of_both(rng: &mut fastrand::Rng) -> String {
    let name = NAMES[rng.usize(..2)];
    spelled(rng, name)
}

/// The text, here and there a letter as its escape.
fn spelled(rng: &mut fastrand::Rng, text: &str) -> String {
    let escape = rng.u8(..) < 40;
    text.chars()
        .map(|letter| match escape && rng.bool() {
            true => format!("\\u{:04x}", u32::from(letter)),
            false => letter.to_string(),
        })
        .collect()
}

fn decoy(rng: &mut fastrand::Rng) -> String {
    let decoys = [
        r#"{"model":"gpt-4o"}"#,
        r#"[{"model":"gpt-4o-mini"}]"#,
        r#""\"model\":\"gpt-4o\"""#,
        r#""u\"},{\"model\":\"gpt-4o\"""#,
        r#"{"a":{"model":1,"model":2}}"#,
        "null",
    ];
    (*rng.choice(&decoys).unwrap()).to_owned()
}

fn space(rng: &mut fastrand::Rng) -> &'static str {
    ["", "", "", " ", "\n", "\t\r\n", "\u{feff}"][match rng.u8(..) {
        0..=1 => 6,
        other => usize::from(other % 6),
    }]
}

/// The texts after each `"model":` of the outermost object, escapes resolved.
fn models(body: &str) -> Vec<String> {
    struct All(Vec<String>);
    impl<'de> serde::Deserialize<'de> for All {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct Members;
            impl<'de> serde::de::Visitor<'de> for Members {
                type Value = All;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<All, A::Error> {
                    let mut found = Vec::new();
                    while let Some((name, value)) = map.next_entry::<String, Value>()? {
                        if name.eq_ignore_ascii_case("model") {
                            found.push(value.as_str().unwrap_or_default().to_owned());
                        }
                    }
                    Ok(All(found))
                }
            }
            from.deserialize_map(Members)
        }
    }
    let All(found) = serde_json::from_str(body).expect("the upstream gets JSON");
    found
}

#[tokio::test]
async fn f27_the_upstreams_model_is_the_billed_model() {
    let up = upstream(&NAMES).await;
    let gate = with_models(&base(&up), &NAMES).await;
    let url = format!("{}/v1/chat/completions", gate.url());
    let auth = format!("Bearer {}", gate.master_key());
    let mut rng = fastrand::Rng::with_seed(27);
    let mut billed = std::collections::HashMap::new();
    for nth in 0..BODIES {
        let body = body(&mut rng);
        up.forget();
        let answer = call("POST", &url, &[("authorization", &auth)], body.clone()).await;
        let seen = up.requests();
        if answer.status == 400 && answer.json()["error"]["code"] == "invalid_request" {
            assert!(seen.is_empty(), "body {nth} was refused and sent: {body}");
            continue;
        }
        let [sent] = seen.try_into().expect("one request for one request");
        let models = models(&String::from_utf8_lossy(&sent.body));
        assert_eq!(models.len(), 1, "body {nth}: {body}");
        let id = answer.header("x-litellm-call-id").to_owned();
        billed.insert(id, (models[0].clone(), body));
    }
    let accepted = billed.len();
    assert!((BODIES / 5..BODIES * 4 / 5).contains(&accepted), "{accepted} were let through");
    let mut rows = 0;
    for page in 1.. {
        let path = format!("/spend/logs/v2?page_size=1000&page={page}");
        let answer = settled(&gate, &path).await;
        let data = answer["data"].as_array().unwrap();
        if data.is_empty() {
            break;
        }
        for row in data {
            let Some((model, body)) = billed.get(row["litellm_call_id"].as_str().unwrap()) else {
                assert_eq!(row["metadata"]["tollgate"]["outcome"], "refused", "{row}");
                continue;
            };
            assert_eq!(
                (&row["model"], &row["model_group"]),
                (&model.as_str().into(), &model.as_str().into()),
                "{body}"
            );
            rows += 1;
        }
    }
    assert_eq!(rows, accepted);
}

/// What is at `path` once no row is on its way.
async fn settled(gate: &tollgate_testkit::Tollgate, path: &str) -> Value {
    for _ in 0..200 {
        if look(gate, "/health/readiness").await.json()["journal_pending"] == 0 {
            return look(gate, path).await.json();
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("rows stay in the journal")
}
