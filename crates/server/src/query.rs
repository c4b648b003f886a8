//! What Google's clients put into a URL: the key, the model's name, how a stream is to come.

use http::{HeaderName, HeaderValue, Request};

const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// Paths whose query may hold a key. Elsewhere a key in a URL is nobody's: URLs are written down by
/// proxies, and only Google's older clients know no better.
const WITH_KEY: [&str; 4] = ["/v1beta/", "/v1/models/", "/models/", "/gemini/"];

/// Moves `?key=` into the header where it belongs, unless there is one: so it is read in one place
/// and nothing behind this sees it in the URL.
pub(crate) fn key_to_header<B>(request: &mut Request<B>) {
    let uri = request.uri();
    let Some(key) = uri.query().filter(|query| query.contains("key=")).and_then(|query| {
        WITH_KEY
            .iter()
            .any(|path| uri.path().starts_with(path))
            .then(|| value(Some(query), "key"))?
    }) else {
        return;
    };
    let rest: Vec<&str> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.starts_with("key="))
        .collect();
    let path = match rest.as_slice() {
        [] => uri.path().to_owned(),
        rest => [uri.path(), "?", &rest.join("&")].concat(),
    };
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    let Ok(mut key) = HeaderValue::try_from(key) else { return };
    key.set_sensitive(true);
    request.headers_mut().entry(X_GOOG_API_KEY).or_insert(key);
}

/// The first value of this name.
pub(crate) fn value(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(other, _)| *other == name);
    named.next().map(|(_, value)| decoded(value))
}

/// Without percent signs. What is no text stays as it is.
pub(crate) fn decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits
            .filter(|digits| *first == b'%' && digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = after.get(if byte.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(uri: &str, header: Option<&'static str>) -> (String, Option<String>) {
        let mut request = Request::new(());
        *request.uri_mut() = uri.parse().unwrap();
        if let Some(key) = header {
            request.headers_mut().insert(X_GOOG_API_KEY, HeaderValue::from_static(key));
        }
        key_to_header(&mut request);
        let key = request.headers().get(X_GOOG_API_KEY);
        (request.uri().to_string(), key.map(|key| key.to_str().unwrap().to_owned()))
    }

    #[test]
    fn a_key_leaves_the_url() {
        let path = "/v1beta/models/m:generateContent";
        for (query, left) in [("?key=sk-1", ""), ("?alt=sse&key=sk-1&x=y", "?alt=sse&x=y")] {
            let (uri, key) = moved(&format!("{path}{query}"), None);
            assert_eq!((uri, key.as_deref()), (format!("{path}{left}"), Some("sk-1")));
        }
        let (uri, key) = moved(&format!("{path}?key=sk-2"), Some("sk-1"));
        assert_eq!((uri.as_str(), key.as_deref()), (path, Some("sk-1")));
    }

    #[test]
    fn a_key_in_another_url_is_none() {
        for uri in
            ["/key/info?key=sk-1", "/v1/chat/completions?key=sk-1", "/v1beta/models?monkey=1"]
        {
            assert_eq!(moved(uri, None), (uri.to_owned(), None));
        }
    }

    #[test]
    fn names_are_decoded() {
        assert_eq!(decoded("openai%2Fgpt-4o"), "openai/gpt-4o");
        assert_eq!(decoded("a%zzb%"), "a%zzb%");
        assert_eq!(decoded("%ff"), "%ff");
        assert_eq!(decoded("%e2%82%ac"), "€");
        assert_eq!(value(Some("alt=sse&x"), "alt").as_deref(), Some("sse"));
    }
}
