//! What every call can be told beside its parameters: which credential, which address, how long,
//! how often, and who stands in.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Map, Value};
use tollgate_wire::{Rates, Secret, card::femto_from_usd_text};

/// See the methods that [`call_options`] gives every call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) api_key: Option<Secret>,
    pub(crate) api_base: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) settings: BTreeMap<String, Secret>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) num_retries: Option<u32>,
    pub(crate) fallbacks: Vec<String>,
    pub(crate) context_window_fallbacks: Vec<String>,
    pub(crate) drop_params: Option<bool>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) rates: Option<Rates>,
}

impl Options {
    /// Takes down a price of the caller's own.
    pub(crate) fn price(
        &mut self,
        text: &str,
        rate: impl FnOnce(&mut Rates) -> &mut i64,
    ) -> Result<(), String> {
        let femto = femto_from_usd_text(text).map_err(|why| format!("price `{text}`: {why}"))?;
        *rate(self.rates.get_or_insert_default()) = femto;
        Ok(())
    }
}

/// The body of a call while it is being built. The first mistake is kept until the call is made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    pub(crate) map: Map<String, Value>,
    pub(crate) mistake: Option<String>,
}

impl Fields {
    pub(crate) fn set(&mut self, name: &str, value: impl Serialize) {
        match serde_json::to_value(value) {
            Ok(value) => {
                self.map.insert(name.to_owned(), value);
            }
            Err(error) => self.mistake(format!("`{name}` cannot be written as JSON: {error}")),
        }
    }

    /// A number that JSON can say.
    pub(crate) fn set_number(&mut self, name: &str, value: f64) {
        if value.is_finite() {
            self.set(name, value);
        } else {
            self.mistake(format!("`{name}` is {value}: JSON has no such number"));
        }
    }

    pub(crate) fn mistake(&mut self, message: String) {
        self.mistake.get_or_insert(message);
    }
}

/// The methods that every call has, for a type with the fields `options` and `fields`.
macro_rules! call_options {
    () => {
        /// The provider's key. Default: the client's, else the environment's
        /// (`STIMA_API_KEY`, …).
        pub fn api_key(mut self, key: impl Into<String>) -> Self {
            self.options.api_key = Some(tollgate_wire::Secret::new(key));
            self
        }

        /// The provider's base URL, version segment included. Default: the client's, else the
        /// environment's (`STIMA_API_BASE`, …), else the catalogue's.
        pub fn api_base(mut self, url: impl Into<String>) -> Self {
            self.options.api_base = Some(url.into());
            self
        }

        /// A setting of a place that needs more than a key and an address: `api_version`,
        /// `aws_region_name`, `vertex_project`, …, by the names of a configuration's
        /// `litellm_params`. Default: the client's, else the environment's. One that the provider
        /// does not look at is a mistake.
        pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
            self.options.settings.insert(name.into(), tollgate_wire::Secret::new(value));
            self
        }

        /// The provider, where the model string does not begin with it.
        pub fn custom_llm_provider(mut self, name: impl Into<String>) -> Self {
            self.options.provider = Some(name.into());
            self
        }

        /// How long the provider may take until its answer begins, and a stream between two
        /// pieces. Default: the client's, else ten minutes.
        pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.timeout = Some(timeout);
            self
        }

        /// How often to try again after a failure that may pass. Default: the client's, else 2.
        pub fn num_retries(mut self, retries: u32) -> Self {
            self.options.num_retries = Some(retries);
            self
        }

        /// Models that stand in, in this order, when this one fails before its answer has begun.
        pub fn fallbacks<M: Into<String>>(mut self, models: impl IntoIterator<Item = M>) -> Self {
            self.options.fallbacks = models.into_iter().map(Into::into).collect();
            self
        }

        /// Models that stand in, in this order, when the prompt is too long for this one.
        pub fn context_window_fallbacks<M: Into<String>>(
            mut self,
            models: impl IntoIterator<Item = M>,
        ) -> Self {
            self.options.context_window_fallbacks = models.into_iter().map(Into::into).collect();
            self
        }

        /// Leave out what the model cannot do, instead of refusing. What was left out is named in
        /// the answer's [`Route`](crate::Route).
        pub fn drop_params(mut self, drop: bool) -> Self {
            self.options.drop_params = Some(drop);
            self
        }

        /// The price of a prompt token in USD, as a number or its text (`2.5e-06`), instead of
        /// the catalogue's. Where either price is given, one that is not counts as nothing.
        pub fn input_cost_per_token(mut self, usd: impl std::fmt::Display) -> Self {
            if let Err(why) = self.options.price(&usd.to_string(), |rates| &mut rates.input) {
                self.fields.mistake(why);
            }
            self
        }

        /// The price of an answer's token in USD, likewise.
        pub fn output_cost_per_token(mut self, usd: impl std::fmt::Display) -> Self {
            if let Err(why) = self.options.price(&usd.to_string(), |rates| &mut rates.output) {
                self.fields.mistake(why);
            }
            self
        }

        /// One more request header.
        pub fn extra_header(mut self, name: &str, value: &str) -> Self {
            match (http::HeaderName::try_from(name), http::HeaderValue::try_from(value)) {
                (Ok(name), Ok(value)) => self.options.headers.push((name, value)),
                (Err(_), _) | (_, Err(_)) => {
                    self.fields.mistake(format!("`{name}` is no header that can be sent"));
                }
            }
            self
        }

        /// Any other field of the request, in the provider's own spelling.
        pub fn extra_body(mut self, name: &str, value: impl serde::Serialize) -> Self {
            self.fields.set(name, value);
            self
        }
    };
}
pub(crate) use call_options;
