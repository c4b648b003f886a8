//! An error before it is spelled in a dialect, and the checks that both dialects share.

use serde_json::{Map, Value};

/// Why the provider says no.
#[derive(Debug, Clone)]
pub(super) struct Refuse {
    pub(super) status: u16,
    pub(super) message: String,
    pub(super) param: Option<String>,
    pub(super) code: Option<&'static str>,
}

impl Refuse {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Refuse { status, message: message.into(), param: None, code: None }
    }

    pub(super) fn bad(param: &str, message: impl Into<String>, code: &'static str) -> Self {
        Refuse {
            status: 400,
            message: message.into(),
            param: Some(param.to_owned()),
            code: Some(code),
        }
    }

    pub(super) fn wrong_type(param: &str, wanted: &str, got: &Value) -> Self {
        let message = format!(
            "Invalid type for '{param}': expected {wanted}, but got {} instead.",
            type_name(got)
        );
        Self::bad(param, message, "invalid_type")
    }

    pub(super) fn missing(param: &str) -> Self {
        let message = format!("Missing required parameter: '{param}'.");
        Self::bad(param, message, "missing_required_parameter")
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(n) if n.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Reads fields of one object, refusing wrong types by name.
pub(super) struct Fields<'a> {
    pub(super) of: &'a Map<String, Value>,
    pub(super) at: String,
}

impl<'a> Fields<'a> {
    pub(super) fn new(value: &'a Value, at: &str) -> Result<Self, Refuse> {
        let of = value.as_object().ok_or_else(|| Refuse::wrong_type(at, "an object", value))?;
        Ok(Fields { of, at: at.to_owned() })
    }

    pub(super) fn path(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }

    /// The field, where it is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.of.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn required(&self, name: &str) -> Result<&'a Value, Refuse> {
        self.get(name).ok_or_else(|| Refuse::missing(&self.path(name)))
    }

    pub(super) fn text(&self, name: &str) -> Result<&'a str, Refuse> {
        let value = self.required(name)?;
        value.as_str().ok_or_else(|| Refuse::wrong_type(&self.path(name), "a string", value))
    }

    pub(super) fn maybe_text(&self, name: &str) -> Result<Option<&'a str>, Refuse> {
        self.get(name).map(|_| self.text(name)).transpose()
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Refuse> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(Refuse::wrong_type(&self.path(name), "a boolean", other)),
        }
    }

    pub(super) fn list(&self, name: &str) -> Result<&'a [Value], Refuse> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(other) => Err(Refuse::wrong_type(&self.path(name), "an array", other)),
        }
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Fields<'a>>, Refuse> {
        self.get(name).map(|value| Fields::new(value, &self.path(name))).transpose()
    }

    /// A whole number of at least `min`.
    pub(super) fn count(&self, name: &str, min: u64) -> Result<Option<u64>, Refuse> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let path = self.path(name);
        if !value.is_i64() && !value.is_u64() {
            return Err(Refuse::wrong_type(&path, "an integer", value));
        }
        match value.as_u64() {
            Some(n) if n >= min => Ok(Some(n)),
            _ => Err(Refuse::bad(
                &path,
                format!(
                    "Invalid '{path}': integer below minimum value. \
                     Expected a value >= {min}, but got {value} instead."
                ),
                "integer_below_min_value",
            )),
        }
    }

    /// A number within bounds.
    pub(super) fn number(&self, name: &str, min: f64, max: f64) -> Result<Option<f64>, Refuse> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let path = self.path(name);
        let n = value.as_f64().ok_or_else(|| Refuse::wrong_type(&path, "a decimal", value))?;
        if (min..=max).contains(&n) {
            return Ok(Some(n));
        }
        let message = format!(
            "Invalid '{path}': expected a value between {min} and {max}, but got {value} instead."
        );
        Err(Refuse::bad(&path, message, "decimal_out_of_range"))
    }

    pub(super) fn one_of(&self, name: &str, allowed: &[&str]) -> Result<Option<&'a str>, Refuse> {
        let Some(text) = self.maybe_text(name)? else { return Ok(None) };
        if allowed.contains(&text) {
            return Ok(Some(text));
        }
        let path = self.path(name);
        let message =
            format!("Invalid value: '{text}'. Supported values are: '{}'.", allowed.join("', '"));
        Err(Refuse::bad(&path, message, "invalid_value"))
    }
}
