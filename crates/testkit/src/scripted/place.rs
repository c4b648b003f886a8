//! The scripted upstream at another place: other paths, other credentials, the same answers.

use http::{HeaderValue, header::AUTHORIZATION};
use serde_json::Value;

use super::{Recorded, Shared, lock, refuse::Refuse};

/// A path that a place has in the stead of an API's own.
pub struct Place {
    /// The path, with `{model}` where it names the model, and the query as it has to be.
    pub path: String,
    /// Which of the API's own paths it stands for, such as `/v1/chat/completions`.
    pub own: &'static str,
    /// Looks at headers and body as strictly as the place does, and makes the body what the API's
    /// own path takes. `Err` is status and message.
    pub check: Check,
}

/// See [`Place::check`].
pub type Check = Box<dyn Fn(&Recorded, &mut Value) -> Result<(), (u16, String)> + Send + Sync>;

/// The request as the API's own path would have got it; as it is, where no place was set up.
pub(super) fn own(shared: &Shared, recorded: &Recorded) -> Result<Recorded, Refuse> {
    let places = lock(&shared.places);
    if places.is_empty() {
        return Ok(recorded.clone());
    }
    let at = match &recorded.query {
        Some(query) => format!("{}?{query}", recorded.path),
        None => recorded.path.clone(),
    };
    let found = places.iter().find_map(|place| {
        let Some((head, tail)) = place.path.split_once("{model}") else {
            return (place.path == at).then_some((place, None));
        };
        let model = at.strip_prefix(head)?.strip_suffix(tail)?;
        (!model.contains('/')).then_some((place, Some(model)))
    });
    let Some((place, model)) = found else {
        return Err(Refuse::new(404, format!("Resource not found: {at}")));
    };
    let mut body = recorded.json();
    (place.check)(recorded, &mut body).map_err(|(status, why)| Refuse::new(status, why))?;
    if let (Some(model), Some(fields)) = (model, body.as_object_mut()) {
        fields.insert("model".to_owned(), model.into());
    }
    let mut plain = recorded.clone();
    plain.path = place.own.to_owned();
    plain.query = None;
    plain.body = body.to_string().into();
    let name =
        if place.own.starts_with("/v1/messages") { "x-api-key" } else { AUTHORIZATION.as_str() };
    let key = lock(&shared.key).clone().unwrap_or_else(|| "k".to_owned());
    let text = if name == "x-api-key" { key } else { format!("Bearer {key}") };
    let value = HeaderValue::try_from(text).expect("a key that fits a header");
    plain.headers.insert(name.parse::<http::HeaderName>().expect("a header's name"), value);
    Ok(plain)
}
