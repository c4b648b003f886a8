use std::collections::HashMap;

use super::*;
use crate::catalogue::{Catalogue, builtin};

/// Settings and variables of a test: `param=value` and `$ENV=value`.
fn look_up(settings: &str) -> (HashMap<String, String>, HashMap<String, String>) {
    let pairs = settings.split_whitespace().map(|pair| pair.split_once('=').unwrap());
    let (env, params): (Vec<_>, Vec<_>) = pairs.partition(|(name, _)| name.starts_with('$'));
    let own = |(name, value): (&str, &str)| (name.trim_start_matches('$').into(), value.into());
    (params.into_iter().map(own).collect(), env.into_iter().map(own).collect())
}

fn site(catalogue: &Catalogue, provider: &str, settings: &str) -> Result<Site, Vec<Problem>> {
    let (params, env) = look_up(settings);
    let lookup = Lookup {
        param: &|name| params.get(name).cloned(),
        env: &|name| env.get(name).cloned(),
        read: &|_| Err("there is no such file".to_owned()),
    };
    prepare(catalogue.provider(provider).unwrap(), params.get("api_base").map(|b| &**b), lookup)
}

/// `POST` addresses of whole and streamed chats, and what the model is called.
#[track_caller]
fn check(provider: &str, model: &str, settings: &str, whole: &str, stream: &str) -> Settled {
    let (params, _) = look_up(settings);
    let known_as = params.get("base_model").map(|name| &**name);
    let settled = site(builtin(), provider, settings).unwrap().settle(model, known_as).unwrap();
    let url = |streamed| {
        let (dialect, prefix) = settled.provider.speaks.iter().next().unwrap();
        let own = settled.provider.paths.get(dialect).and_then(|p| p.get(&Operation::Chat));
        let path = match own {
            Some(path) => with_model(path.of(streamed), &settled.model),
            None => {
                crate::matrix::upstream(Operation::Chat, *dialect, model, streamed).unwrap().into()
            }
        };
        format!("{}{prefix}{path}", settled.base)
    };
    assert_eq!(url(false), whole, "{model}");
    assert_eq!(url(true), stream, "{model}");
    settled
}

#[track_caller]
fn same(provider: &str, model: &str, settings: &str, url: &str) -> Settled {
    check(provider, model, settings, url, url)
}

#[test]
fn azure_deployments_are_in_the_path() {
    let url = "https://r.openai.azure.com/openai/deployments/my-gpt/chat/completions\
               ?api-version=2024-10-21";
    for base in [
        "https://r.openai.azure.com",
        "https://r.openai.azure.com/",
        "https://r.openai.azure.com/openai",
        "https://r.openai.azure.com/openai/deployments/my-gpt",
        "https://r.openai.azure.com/openai/deployments/my-gpt/chat/completions",
    ] {
        let settings = format!("api_key=k api_version=2024-10-21 api_base={base}");
        let settled = same("azure", "my-gpt", &settings, url);
        assert_eq!(settled.provider.auth, Auth::ApiKey);
    }
    let odd = "https://r.openai.azure.com/openai/deployments/a%20b%2Fc/chat/completions\
               ?api-version=2025-02-01-preview";
    same("azure", "a b/c", "api_key=k api_base=https://r.openai.azure.com", odd);
}

#[test]
fn azure_has_a_second_api_without_deployments() {
    let base = "api_key=k api_base=https://r.openai.azure.com";
    let url = "https://r.openai.azure.com/openai/v1/chat/completions";

    same("azure", "gpt-4o", "api_key=k api_base=https://r.openai.azure.com/openai/v1", url);
    let preview = format!("{url}?api-version=preview");
    same("azure", "gpt-4o", &format!("{base} api_version=preview"), &preview);
}

#[test]
fn reasoning_models_at_azure_take_max_completion_tokens() {
    let base = "api_key=k api_base=https://r.openai.azure.com";
    let renames = |model: &str, settings: &str| {
        let site = site(builtin(), "azure", &format!("{base} {settings}")).unwrap();
        let known_as = look_up(settings).0.get("base_model").cloned();
        let settled = site.settle(model, known_as.as_deref()).unwrap();
        let renamed = settled
            .provider
            .patch
            .iter()
            .any(|patch| matches!(patch, Patch::Rename(from, _) if from == "max_tokens"));
        (settled.model, renamed)
    };
    assert_eq!(renames("my-own", ""), ("my-own".to_owned(), false));
    assert_eq!(renames("o3-mini", ""), ("o3-mini".to_owned(), true));
    assert_eq!(renames("my-own", "base_model=azure/gpt-5-mini"), ("my-own".to_owned(), true));
    assert_eq!(renames("o_series/my-own", ""), ("my-own".to_owned(), true));
}

#[test]
fn foundry_has_a_path_by_host_and_by_model() {
    same(
        "azure_ai",
        "Mistral-large",
        "api_key=k api_base=https://r.services.ai.azure.com",
        "https://r.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
    );
    let own = "api_key=k api_base=https://m.eastus2.models.ai.azure.com/v1";
    let settled = same(
        "azure_ai",
        "command-r",
        own,
        "https://m.eastus2.models.ai.azure.com/v1/chat/completions",
    );
    assert_eq!(settled.provider.auth, Auth::Bearer);
    for base in ["", "/anthropic", "/anthropic/v1/messages"] {
        let settings = format!("api_key=k api_base=https://r.services.ai.azure.com{base}");
        let url = "https://r.services.ai.azure.com/anthropic/v1/messages";
        let settled = same("azure_ai", "claude-sonnet-4-5", &settings, url);
        assert_eq!(settled.provider.auth, Auth::XApiKey);
    }
}

const SERVICE: &str = "{\"type\":\"service_account\",\"project_id\":\"own\",\"private_key\":\"k\",\
                       \"client_email\":\"e\"}";

#[test]
fn vertex_has_a_host_by_location_and_a_path_by_publisher() {
    let with = |more: &str| format!("vertex_credentials={SERVICE} {more}");
    let host = |location: &str, host: &str| {
        let url = format!(
            "https://{host}/v1/projects/p/locations/{location}/endpoints/openapi/chat/completions"
        );
        let settings = with(&format!("vertex_project=p vertex_location={location}"));
        same("vertex_ai", "meta/llama-4", &settings, &url);
    };
    host("europe-west1", "europe-west1-aiplatform.googleapis.com");
    host("global", "aiplatform.googleapis.com");
    host("us", "aiplatform.us.rep.googleapis.com");
    host("eu", "aiplatform.eu.rep.googleapis.com");

    let base =
        "https://us-central1-aiplatform.googleapis.com/v1/projects/own/locations/us-central1";
    for model in ["claude-sonnet-4@20250514", "anthropic/claude-sonnet-4@20250514"] {
        let path = format!("{base}/publishers/anthropic/models/claude-sonnet-4@20250514");
        let settled = check(
            "vertex_ai",
            model,
            &with(""),
            &format!("{path}:rawPredict"),
            &format!("{path}:streamRawPredict"),
        );
        assert!(matches!(&settled.provider.patch[0], Patch::Cut(name) if name == "model"));
    }
    let path = format!("{base}/publishers/mistralai/models/mistral-small-2503");
    for model in ["mistral-small-2503", "mistralai/mistral-small-2503"] {
        check(
            "vertex_ai",
            model,
            &with(""),
            &format!("{path}:rawPredict"),
            &format!("{path}:streamRawPredict"),
        );
    }
}

#[test]
fn a_base_without_a_path_gets_the_providers_own() {
    let settings = format!(
        "vertex_credentials={SERVICE} api_base=http://127.0.0.1:8080 vertex_location=global"
    );
    let url = "http://127.0.0.1:8080/v1/projects/own/locations/global/endpoints/openapi\
               /chat/completions";
    same("vertex_ai", "qwen/qwen3", &settings, url);
    let url = "https://adb-1.azuredatabricks.net/serving-endpoints/chat/completions";
    same("databricks", "m", "api_key=k $DATABRICKS_HOST=https://adb-1.azuredatabricks.net/", url);
    same("databricks", "m", "api_key=k api_base=https://adb-1.azuredatabricks.net", url);
    same(
        "databricks",
        "m",
        "api_key=k api_base=https://adb-1.azuredatabricks.net/serving-endpoints",
        url,
    );
}

#[test]
fn other_places() {
    same(
        "cloudflare",
        "@cf/meta/llama-3.1-8b-instruct",
        "api_key=k account_id=abc",
        "https://api.cloudflare.com/client/v4/accounts/abc/ai/v1/chat/completions",
    );
    same(
        "snowflake",
        "mistral-large2",
        "api_key=pat/k $SNOWFLAKE_ACCOUNT_ID=org-acct",
        "https://org-acct.snowflakecomputing.com/api/v2/cortex/v1/chat/completions",
    );
    let settled = check(
        "watsonx",
        "ibm/granite-4",
        "api_key=k project_id=p-1 watsonx_region_name=eu-de",
        "https://eu-de.ml.cloud.ibm.com/ml/v1/text/chat?version=2025-02-11",
        "https://eu-de.ml.cloud.ibm.com/ml/v1/text/chat_stream?version=2025-02-11",
    );
    let sets: Vec<_> = settled
        .provider
        .patch
        .iter()
        .filter_map(|patch| match patch {
            Patch::Set(name, value) => Some((name.as_str(), value.as_str()?)),
            _ => None,
        })
        .collect();
    assert_eq!(sets, [("project_id", "p-1")]);
    let problems = site(builtin(), "watsonx", "api_key=k").unwrap().settle("m", None).unwrap_err();
    assert_eq!(problems[0].message, "`watsonx` needs one of `project_id`, `space_id`");
    assert!(problems[0].help.contains("`WATSONX_SPACE_ID`"), "{problems:?}");
    check(
        "watsonx",
        "deployment/d-1",
        "api_key=k",
        "https://us-south.ml.cloud.ibm.com/ml/v1/deployments/d-1/text/chat?version=2025-02-11",
        "https://us-south.ml.cloud.ibm.com/ml/v1/deployments/d-1/text/chat_stream?version=2025-02-11",
    );
    let url = "https://router.huggingface.co/v1/chat/completions";
    let settled = same("huggingface", "together/deepseek-ai/DeepSeek-R1", "api_key=k", url);
    assert_eq!(settled.model, "deepseek-ai/DeepSeek-R1:together");
    let settled = same("huggingface", "deepseek-ai/DeepSeek-R1", "api_key=k", url);
    assert_eq!(settled.model, "deepseek-ai/DeepSeek-R1");
}

#[test]
fn a_gateway_may_take_its_key_as_each_dialect_does() {
    let zen = "https://opencode.ai/zen/v1";
    for (model, auth, whole, stream) in [
        ("kimi-k3", Auth::Bearer, "/chat/completions", "/chat/completions"),
        ("claude-opus-5", Auth::XApiKey, "/messages", "/messages"),
        (
            "gemini-3-pro",
            Auth::XGoogApiKey,
            "/models/gemini-3-pro:generateContent",
            "/models/gemini-3-pro:streamGenerateContent?alt=sse",
        ),
    ] {
        let (whole, stream) = (format!("{zen}{whole}"), format!("{zen}{stream}"));
        let settled = check("opencode_zen", model, "api_key=k", &whole, &stream);
        assert_eq!(settled.provider.auth, auth, "{model}");
    }
}

#[test]
fn a_product_may_be_part_of_the_address() {
    let url = "https://api.infomaniak.com/2/ai/48/openai/v1/chat/completions";
    same("infomaniak", "m", "api_key=k product_id=48", url);
    same("infomaniak", "m", "api_key=k $INFOMANIAK_PRODUCT_ID=48", url);
}

/// What a login is, without what is secret.
fn shown(settings: &str, provider: &str) -> String {
    match site(builtin(), provider, settings) {
        Err(problems) => problems
            .iter()
            .map(|problem| format!("{}: {}; {}", problem.param, problem.message, problem.help))
            .collect(),
        Ok(site) => {
            let key = site.known.credential.as_ref().map_or("", Secret::expose);
            let headers: Vec<_> =
                site.known.headers.iter().map(|(_, v)| v.to_str().unwrap()).collect();
            let login = site.known.login.map(|login| format!("{login:?}")).unwrap_or_default();
            format!("{key} {:?} {login} {headers:?}", site.known.auth)
        }
    }
}

#[track_caller]
fn known(provider: &str, settings: &str, expect: &str) {
    let shown = shown(settings, provider);
    assert!(shown.contains(expect), "{settings}\n{shown}\nexpected {expect}");
}

#[test]
fn azure_is_signed_into_with_what_is_nearest() {
    let azure = |settings: &str, expect: &str| {
        known("azure", &format!("api_base=https://r.openai.azure.com {settings}"), expect);
    };
    let principal = "tenant_id=t client_id=c client_secret=s";
    azure("api_key=k $AZURE_API_KEY=other", "k None");
    azure("azure_ad_token=t $AZURE_API_KEY=other", "t Some(Bearer)");
    azure(&format!("{principal} $AZURE_API_KEY=other"), "Secret { authority: \"https://login");
    azure("$AZURE_API_KEY=k $AZURE_AD_TOKEN=t", "k None");
    azure("$AZURE_TENANT_ID=t $AZURE_CLIENT_ID=c $AZURE_CLIENT_SECRET=s", "tenant: \"t\"");
    azure(
        "$AZURE_TENANT_ID=t $AZURE_CLIENT_ID=c $AZURE_FEDERATED_TOKEN_FILE=/f",
        "token_file: \"/f\"",
    );
    azure("$IDENTITY_ENDPOINT=http://i $IDENTITY_HEADER=h", "App { endpoint: \"http://i\"");
    azure("$AZURE_CREDENTIAL=ManagedIdentityCredential", "Machine { host: \"http://169.254.");
    azure(&format!("{principal} azure_scope=x"), "scope: \"x\"");
    azure(
        &format!("{principal} $AZURE_AUTHORITY_HOST=https://login.microsoftonline.us/"),
        "\"https://login.microsoftonline.us\"",
    );
    azure("", "`azure` needs credentials; set `api_key` (or `AZURE_API_KEY` or `AZURE_OPENAI");
}

#[test]
fn the_others_are_signed_into() {
    let vertex = |settings: &str, expect: &str| known("vertex_ai", settings, expect);
    vertex(&format!("vertex_credentials={SERVICE}"), "Service(");
    vertex("vertex_credentials=/none vertex_project=p", "vertex_credentials: `/none`: there is");
    vertex("vertex_project=p", "Metadata { host: \"http://metadata.google.internal\" }");
    vertex("vertex_project=p $GOOGLE_CLOUD_QUOTA_PROJECT=q", "[\"q\"]");
    vertex("$HOME=/h", "vertex_project: `vertex_ai` needs to know its project; set `vertex_pro");

    let base = "api_base=https://adb-1.net/serving-endpoints";
    let pair = "$DATABRICKS_CLIENT_ID=i $DATABRICKS_CLIENT_SECRET=s";
    known("databricks", &format!("{base} {pair}"), "\"https://adb-1.net/oidc/v1/token\"");
    known("databricks", base, "`DATABRICKS_CLIENT_ID`");

    known("watsonx", "api_key=k", "Ibm { url: \"https://iam.cloud.ibm.com/identity/token\"");
    known("watsonx", "token=t", "t Some(Bearer)");
    known("watsonx", "zen_api_key=z", "[\"ZenApiKey z\"]");
    known("watsonx", "", "`WATSONX_APIKEY`");

    let account = "account_id=xy12345.us-east-1";
    known("snowflake", &format!("{account} api_key=pat/t"), "t None  [\"PROGRAMMATIC_ACCESS");
    known("snowflake", &format!("{account} api_key=j"), "j None  [\"KEYPAIR_JWT\"]");
    let pair = "$SNOWFLAKE_USER=me $SNOWFLAKE_PRIVATE_KEY=pem";
    known("snowflake", &format!("{account} {pair}"), "account: \"XY12345\", user: \"ME\"");
    known("snowflake", "api_key=t", "account_id: `snowflake` needs to know its account id; set");
}

#[test]
fn what_stands_in_a_url_is_no_url() {
    known("cloudflare", "api_key=k account_id=a/../b", "`account_id` stands in a URL");
    known("cloudflare", "api_key=k account_id=a?b", "`account_id` stands in a URL");
}

#[test]
fn a_table_with_a_template_that_cannot_be_filled_is_refused() {
    let check = |table: &str, why: &str| {
        let text = format!("[p]\nspeaks = {{ openai = \"\" }}\n{table}");
        let got = Catalogue::default().overlay(&text).unwrap_err().to_string();
        assert!(got.contains(why), "{table}: {got}");
    };
    check("url = \"https://{region}.x\"", "`{region}` in `https://{region}.x` is none of its");
    check("url = \"https://x/{region\"", "open brace");
    check("url = \"https://x\"\npaths.openai.chat = \"/{what}\"", "`{what}`");
    check("url = \"https://x\"\nvars.a = { from = \"b\" }", "`from = \"b\"`");
    check("url = \"https://x\"\nlogin = \"magic\"", "unknown variant");
}

#[test]
fn patterns_capture() {
    let like = |pattern: &str, text: &str| fill::like(pattern, text);
    assert_eq!(like("a*", "abc").unwrap(), ["bc"]);
    assert_eq!(like("*/*/*", "a/b/c/d").unwrap(), ["a", "b", "c/d"]);
    assert_eq!(like("*/*/*", "a/b"), None);
    assert_eq!(like("*.x", "a.x.x").unwrap(), ["a.x"]);
    assert_eq!(like("abc", "abc").unwrap(), Vec::<String>::new());
    assert_eq!(fill::captured("$2/$3:$1$9$", &["a".into(), "b".into(), "c".into()]), "b/c:a$9$");
}

#[test]
fn amazon_is_signed_into() {
    let bedrock = |settings: &str, expect: &str| known("bedrock", settings, expect);
    bedrock("api_key=k aws_region_name=eu-central-1", "k Some(Bearer)");
    bedrock("$AWS_BEARER_TOKEN_BEDROCK=k", "k Some(Bearer)");
    let pair = "aws_access_key_id=AKIA aws_secret_access_key=s";
    bedrock(&format!("{pair} $AWS_BEARER_TOKEN_BEDROCK=k"), "access_key: Some(\"AKIA\")");
    bedrock("aws_access_key_id=AKIA", "aws_secret_access_key: `aws_access_key_id` is half of a");
    // Halves do not come together from two places.
    let env = "$AWS_ACCESS_KEY_ID=OTHER $AWS_SECRET_ACCESS_KEY=o $AWS_SESSION_TOKEN=t";
    bedrock(&format!("{pair} {env}"), "session_token: None");
    bedrock(&format!("aws_profile_name=p {env}"), "access_key: None");
    bedrock("$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/x", "Some(\"http://169.254.170.2/v2/x\")");
    bedrock("$AWS_EC2_METADATA_DISABLED=true", "metadata_host: None");
    let url = |settings: &str| {
        let site = site(builtin(), "bedrock", settings).unwrap();
        site.settle("converse/m", None).map(|s| (s.base, s.model)).unwrap()
    };
    let found = url(&format!("{pair} $AWS_REGION=eu-west-1"));
    assert_eq!(found, ("https://bedrock-runtime.eu-west-1.amazonaws.com".into(), "m".into()));
    assert_eq!(url(pair).0, "https://bedrock-runtime.us-west-2.amazonaws.com");
}

#[test]
fn gemini_at_vertex_is_under_googles_name() {
    let base = "https://aiplatform.googleapis.com/v1/projects/own/locations/global";
    let settings = format!("vertex_credentials={SERVICE} vertex_location=global");
    for model in ["gemini-2.5-flash", "google/gemini-2.5-flash"] {
        let site = site(builtin(), "vertex_ai", &settings).unwrap();
        let settled = site.settle(model, None).unwrap();
        assert_eq!(settled.model, "gemini-2.5-flash");
        assert_eq!(settled.base, base);
        assert_eq!(settled.provider.speaks[&Dialect::Gemini], "/publishers/google");
        assert!(settled.provider.paths.is_empty());
    }
    check(
        "vertex_ai",
        "gemini/123",
        &settings,
        &format!("{base}/endpoints/123:generateContent"),
        &format!("{base}/endpoints/123:streamGenerateContent?alt=sse"),
    );
}

#[test]
fn bedrocks_models_name_their_region() {
    let keys = "aws_access_key_id=a aws_secret_access_key=s";
    let check = |model: &str, settings: &str, name: &str, base: &str, region: &str| {
        let settings = format!("{keys} {settings}");
        let site = site(builtin(), "bedrock", &settings).unwrap();
        let settled = site.settle(model, None).unwrap();
        assert_eq!((settled.model.as_str(), settled.base.as_str()), (name, base), "{model}");
        let login = settled.login.unwrap();
        let Login::Aws(aws) = &*login else { unreachable!("{model}: another login") };
        assert_eq!((aws.region.as_str(), aws.service.as_str()), (region, "bedrock"), "{model}");
    };
    let at = |region: &str| format!("https://bedrock-runtime.{region}.amazonaws.com");
    let claude = "anthropic.claude-sonnet-4-5-20250929-v1:0";
    check(claude, "", claude, &at("us-west-2"), "us-west-2");
    check(claude, "aws_region_name=eu-west-1", claude, &at("eu-west-1"), "eu-west-1");
    check(claude, "$AWS_REGION=us-east-2", claude, &at("us-east-2"), "us-east-2");
    check(&format!("converse/{claude}"), "", claude, &at("us-west-2"), "us-west-2");
    let there = format!("us-gov-west-1/{claude}");
    check(&there, "aws_region_name=eu-west-1", claude, &at("us-gov-west-1"), "us-gov-west-1");
    check(&format!("invoke/{there}"), "", claude, &at("us-gov-west-1"), "us-gov-west-1");
    let arn =
        "arn:aws:bedrock:ap-south-1:123456789012:inference-profile/apac.amazon.nova-lite-v1:0";
    check(arn, "", arn, &at("ap-south-1"), "ap-south-1");
    let china = "https://bedrock-runtime.cn-north-1.amazonaws.com.cn";
    check(&format!("cn-north-1/{claude}"), "", claude, china, "cn-north-1");
    // An address that is given stays; what is signed for is the region all the same.
    let given = "https://vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com";
    check(&there, &format!("api_base={given}"), claude, given, "us-gov-west-1");
    let half = site(builtin(), "bedrock", "aws_access_key_id=a").unwrap_err();
    assert_eq!(half[0].param, "aws_secret_access_key");
}

#[test]
fn oracles_models_differ_in_format_and_limit() {
    let keys = "oci_user=u oci_fingerprint=f oci_tenancy=t oci_key=k oci_compartment_id=c";
    let url =
        "https://inference.generativeai.us-ashburn-1.oci.oraclecloud.com/20231130/actions/chat";
    let patches = |model: &str, settings: &str| {
        let settled = same("oci", model, &format!("{keys} {settings}"), url);
        let dialect = *settled.provider.speaks.keys().next().unwrap();
        (dialect, format!("{:?}", settled.provider.patch))
    };
    let (dialect, patch) = patches("meta.llama-3.3-70b-instruct", "");
    assert_eq!(dialect, Dialect::Oci);
    assert!(
        patch.contains(
            r#"Set("compartmentId", String("c")), Set("servingType", String("ON_DEMAND")), Default"#
        ),
        "{patch}"
    );
    let (dialect, _) = patches("cohere.command-a-03-2025", "");
    assert_eq!(dialect, Dialect::OciCohere);
    // What an endpoint serves, its base model says.
    let endpoint = "ocid1.generativeaiendpoint.oc1.iad.x";
    let (dialect, patch) = patches(endpoint, "base_model=cohere.command-a-03-2025");
    assert_eq!(dialect, Dialect::OciCohere);
    assert!(patch.contains(r#"Set("servingType", String("DEDICATED"))"#), "{patch}");
    let (_, patch) = patches("mine", "oci_serving_mode=DEDICATED oci_endpoint_id=ocid1.e");
    assert!(
        patch.contains(
            r#"Set("servingType", String("DEDICATED")), Set("endpointId", String("ocid1.e"))"#
        ),
        "{patch}"
    );
    let (_, patch) = patches("openai.gpt-5", "");
    assert!(patch.ends_with(r#"Rename("maxTokens", "maxCompletionTokens")]"#), "{patch}");
    let (_, patch) = patches("openai.gpt-oss-120b", "");
    assert!(patch.ends_with(r#"Rename("maxCompletionTokens", "maxTokens")]"#), "{patch}");
}

#[test]
fn models_that_go_on_from_a_text_have_a_form() {
    let form = |provider: &str, model: &str, settings: &str| {
        let (params, _) = look_up(settings);
        let site = site(builtin(), provider, settings).unwrap();
        let settled = site.settle(model, params.get("base_model").map(|name| &**name)).unwrap();
        settled.provider.patch.into_iter().find_map(|patch| match patch {
            Patch::Set(name, value) if name == "chat_template" => value.as_str().map(str::to_owned),
            _ => None,
        })
    };
    let keys = "aws_access_key_id=a aws_secret_access_key=s";
    for (model, expect) in [
        ("meta-textgeneration-llama-2-7b-f", Some("llama2")),
        ("meta-textgeneration-llama-2-7b", None),
        ("jumpstart-dft-llama-3-8b-instruct-1", Some("llama3")),
        ("huggingface-mistral-7b-instruct", Some("mistral_instruct")),
        ("qwen2-5-7b-instruct", Some("chatml")),
        ("my-endpoint", None),
    ] {
        assert_eq!(form("sagemaker", model, keys).as_deref(), expect, "{model}");
    }
    let known_as = format!("{keys} base_model=meta-llama/Llama-3.1-8B-Instruct");
    assert_eq!(form("sagemaker", "my-endpoint", &known_as).as_deref(), Some("llama3"));
    let granite = form("watsonx_text", "ibm/granite-3-8b-instruct", "api_key=k project_id=p");
    assert_eq!(granite.as_deref(), Some("granite"));
    let flan = form("watsonx_text", "google/flan-t5-xl", "api_key=k project_id=p");
    assert_eq!(flan, None);
    check(
        "watsonx_text",
        "deployment/d-1",
        "api_key=k",
        "https://us-south.ml.cloud.ibm.com/ml/v1/deployments/d-1/text/generation?version=2025-02-11",
        "https://us-south.ml.cloud.ibm.com/ml/v1/deployments/d-1/text/generation_stream?version=2025-02-11",
    );
}

#[test]
fn replicates_models_differ_in_what_they_take() {
    let at = "https://api.replicate.com/v1";
    let inputs = |model: &str, settings: &str| {
        let (params, _) = look_up(settings);
        let known_as = params.get("base_model").map(|name| &**name);
        let site = site(builtin(), "replicate", settings).unwrap();
        let inputs = site.settle(model, known_as).unwrap().provider.inputs;
        let takes = |name: &str| inputs.as_ref()?.takes.as_ref()?.get(name).cloned();
        (inputs.as_ref().and_then(|inputs| inputs.turns.clone()), takes("max_tokens"))
    };
    let told = |turns: &str, limit: &str| (Some(turns.to_owned()), Some(limit.to_owned()));
    for (model, expect) in [
        ("meta/meta-llama-3.1-405b-instruct", told("llama3", "max_tokens")),
        ("meta/llama-2-70b-chat", told("llama2", "max_new_tokens")),
        ("openai/gpt-4.1-mini", told("messages", "max_completion_tokens")),
        ("openai/gpt-5-nano", told("messages", "max_completion_tokens")),
        ("anthropic/claude-4.5-haiku", told("words", "max_tokens")),
        ("google/gemini-3-pro", told("words", "max_output_tokens")),
        ("openai/gpt-oss-120b", (Some("words".to_owned()), None)),
        ("meta/meta-llama-3-70b", (None, None)),
        ("acme/anything", (None, None)),
    ] {
        assert_eq!(inputs(model, "api_key=k"), expect, "{model}");
        let url = format!("{at}/models/{model}/predictions");
        same("replicate", model, "api_key=k", &url);
    }
    let bot = inputs("deployments/acme/bot", "api_key=k base_model=meta/llama-2-7b-chat");
    assert_eq!(bot, told("llama2", "max_new_tokens"));
    let url = format!("{at}/deployments/acme/bot/predictions");
    same("replicate", "deployments/acme/bot", "api_key=k", &url);
    // A base without a path gets the version's.
    let url = "https://r.test/v1/models/a/b/predictions";
    same("replicate", "a/b", "api_key=k api_base=https://r.test", url);
}

#[test]
fn a_tables_forms_and_hosts_are_looked_at() {
    let table = |more: &str| {
        let text =
            format!("[t]\nurl = \"https://t.test\"\nspeaks = {{ replicate = \"\" }}\n{more}");
        builtin().overlay(&text).map(|_| ()).map_err(|why| why.to_string())
    };
    assert_eq!(table("inputs = { turns = \"words\" }\nfollows = [\"*.c.t.test\"]\n"), Ok(()));
    for (wrong, names) in [
        ("inputs = { turns = \"klingon\" }\n", "klingon"),
        ("inputs = { speaks = \"words\" }\n", "speaks"),
        ("[[t.families]]\nmodels = [\"a\"]\ninputs = { turns = \"x\" }\n", "`x`"),
        ("follows = [\"https://s.t.test\"]\n", "https://s.t.test"),
        ("follows = [\"*\"]\n", "`*`"),
        ("follows = [\"*.\"]\n", "`*.`"),
        ("follows = [\"localhost\"]\n", "localhost"),
        ("follows = [\"s.t.test:8443\"]\n", "8443"),
    ] {
        let why = table(wrong).unwrap_err();
        assert!(why.contains(names), "{wrong}: {why}");
    }
}
