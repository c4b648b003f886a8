//! The target that the chat targets put requests to.

use std::sync::{Arc, LazyLock};

use tollgate_wire::{Dialect, Provider, Target};

static PROVIDER: LazyLock<Arc<Provider>> = LazyLock::new(|| {
    let text = "url = \"https://a.test\"\nspeaks = { openai = \"\", anthropic = \"\" }";
    Arc::new(toml::from_str(text).unwrap())
});

pub fn target(dialect: Dialect) -> Target {
    Target {
        id: "t".into(),
        provider: PROVIDER.clone(),
        model: "real".into(),
        dialect,
        base: "https://a.test".into(),
        credential: None,
        login: None,
        card: None,
        defaults: Vec::new(),
        headers: Vec::new(),
        drop_params: true,
    }
}
