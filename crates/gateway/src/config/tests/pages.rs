//! The configurations in `docs/providers/` work.

use super::*;

#[test]
fn every_example_resolves() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/providers");
    let mut examples = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let page = std::fs::read_to_string(&path).unwrap();
        for block in page.split("```yaml\n").skip(1) {
            let text = block.split("```").next().unwrap();
            // Every variable that the page names is set; paths and URLs are not asked for.
            let env = |variable: &str| {
                // Keys that are looked at, not only sent.
                if variable == "OCI_KEY" {
                    return Some(tollgate_testkit::scripted::oci::pem());
                }
                let named = page.contains(&format!("os.environ/{variable}\n"))
                    || (variable.ends_with("KEY") && page.contains(&format!("`{variable}`")));
                named.then(|| "value-of-the-tests".to_owned())
            };
            let outcome = load(&Input {
                file: name,
                text,
                env: &env,
                read: &|_| Err(std::io::ErrorKind::NotFound.into()),
                catalogue: &PLACES,
                health: &HealthMap::default(),
                strictness: Strictness::Strict,
            });
            let errors = outcome.problems.iter().filter(|it| it.severity == Severity::Error);
            assert_eq!(errors.count(), 0, "{}", render(&outcome, false));
            assert!(outcome.config.is_some());
            examples += 1;
        }
    }
    assert!(examples >= 10, "only {examples} examples");
}

/// A page names each variable that its providers read.
#[test]
fn every_variable_is_on_the_page() {
    let pages = [
        ("azure", include_str!("../../../../../docs/providers/azure.md")),
        ("azure_ai", include_str!("../../../../../docs/providers/azure.md")),
        ("vertex_ai", include_str!("../../../../../docs/providers/vertex.md")),
        ("bedrock", include_str!("../../../../../docs/providers/bedrock.md")),
        ("sagemaker_chat", include_str!("../../../../../docs/providers/sagemaker.md")),
        ("oci", include_str!("../../../../../docs/providers/oci.md")),
        ("oci_openai", include_str!("../../../../../docs/providers/oci.md")),
        ("sagemaker", include_str!("../../../../../docs/providers/sagemaker.md")),
        ("replicate", include_str!("../../../../../docs/providers/replicate.md")),
        ("watsonx_text", include_str!("../../../../../docs/providers/watsonx.md")),
        ("watsonx", include_str!("../../../../../docs/providers/watsonx.md")),
        ("databricks", include_str!("../../../../../docs/providers/databricks.md")),
        ("snowflake", include_str!("../../../../../docs/providers/snowflake.md")),
        ("cloudflare", include_str!("../../../../../docs/providers/cloudflare.md")),
        ("huggingface", include_str!("../../../../../docs/providers/huggingface.md")),
    ];
    for (name, page) in pages {
        let provider = PLACES.provider(name).unwrap();
        let of_vars = provider.vars.values().flat_map(|var| &var.env);
        for variable in provider.key_env.iter().chain(&provider.url_env).chain(of_vars) {
            assert!(page.contains(&format!("`{variable}`")), "{name}: {variable}");
        }
    }
}
