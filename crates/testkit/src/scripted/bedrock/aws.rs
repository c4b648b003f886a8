//! Signatures, version 4, made again and compared; and the places that hand out keys: the token
//! service, a container's and a machine's metadata.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
};
use http::Method;
use serde_json::{Value, json};

use super::super::{Recorded, refuse::Refuse};

/// A signature is good for five minutes.
const SKEW_S: u64 = 300;

/// Keys that are known: access key, secret, and the token that must come with them.
const KEYS: &[(&str, &str, Option<&str>)] = &[
    ("AKIDSCRIPTED", "scripted/secret+key", None),
    ("ASIDSESSION", "session/secret", Some("session-token==")),
    ("ASIDROLE", "role/secret", Some("role-token==")),
    ("ASIDWEB", "web/secret", Some("web-token==")),
    ("ASIDCONTAINER", "container/secret", Some("container-token==")),
    ("ASIDMACHINE", "machine/secret", Some("machine-token==")),
];

/// Whether the request is signed for `service` by someone we know, or has a bearer key.
pub(in super::super) fn authorise(recorded: &Recorded, service: &str) -> Result<(), Refuse> {
    let authorization = recorded.header("authorization");
    if service == "bedrock"
        && let Some(key) = authorization.strip_prefix("Bearer ")
    {
        return match key {
            "" | "wrong" => {
                Err(denied("Authentication failed: Please make sure your API Key is valid."))
            }
            _ => Ok(()),
        };
    }
    let Some(fields) = authorization.strip_prefix("AWS4-HMAC-SHA256 ") else {
        return Err(denied("Missing Authentication Token"));
    };
    let field = |name: &str| {
        fields.split(", ").find_map(|part| part.strip_prefix(name)).unwrap_or_default()
    };
    let scope: Vec<&str> = field("Credential=").split('/').collect();
    let [access, date, region, signed_for, "aws4_request"] = scope.as_slice() else {
        return Err(invalid("Credential should be scoped to a valid region."));
    };
    let known = KEYS.iter().find(|(known, ..)| known == access);
    let (_, secret, token) = known.ok_or_else(|| Refuse {
        code: Some("UnrecognizedClientException"),
        ..Refuse::new(403, "The security token included in the request is invalid.")
    })?;
    if *signed_for != service {
        return Err(invalid(format!(
            "Credential should be scoped to correct service: '{service}'."
        )));
    }
    if token.unwrap_or_default() != recorded.header("x-amz-security-token") {
        return Err(Refuse {
            code: Some("ExpiredTokenException"),
            ..Refuse::new(403, "The security token included in the request is expired")
        });
    }
    let time = recorded.header("x-amz-date");
    fresh(time, date)?;
    let names = field("SignedHeaders=");
    for needed in ["host", "x-amz-date", "content-type", "x-amz-security-token"] {
        if !recorded.header(needed).is_empty() && !names.split(';').any(|name| name == needed) {
            return Err(invalid(format!("'{needed}' must be a signed header")));
        }
    }
    let canonical = canonical(recorded, names);
    let hash = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{date}/{region}/{service}/aws4_request\n{hash}");
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [date, *region, service, "aws4_request"] {
        key = mac(&key, part);
    }
    if hex(&mac(&key, &text)) == field("Signature=") {
        return Ok(());
    }
    Err(invalid(format!(
        "The request signature we calculated does not match the signature you provided. The Canonical String for this request should have been '{canonical}'"
    )))
}

fn canonical(recorded: &Recorded, names: &str) -> String {
    let path: String = recorded
        .path
        .bytes()
        .map(|byte| match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let mut query: Vec<&str> = recorded
        .query
        .as_deref()
        .unwrap_or_default()
        .split('&')
        .filter(|q| !q.is_empty())
        .collect();
    query.sort_unstable();
    let headers: String = names
        .split(';')
        .map(|name| {
            let values = recorded.headers.get_all(name).iter();
            let values: Vec<String> = values
                .map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
                .collect();
            format!("{name}:{}\n", values.join(","))
        })
        .collect();
    let body = hex(digest(&SHA256, &recorded.body).as_ref());
    format!("{}\n{path}\n{}\n{headers}\n{names}\n{body}", recorded.method, query.join("&"))
}

fn fresh(time: &str, date: &str) -> Result<(), Refuse> {
    let number = |from: usize, to: usize| time.get(from..to).and_then(|n| n.parse::<i64>().ok());
    let parts = [(0, 4), (4, 6), (6, 8), (9, 11), (11, 13), (13, 15)];
    let parts: Option<Vec<i64>> = parts.iter().map(|(from, to)| number(*from, *to)).collect();
    let Some([year, month, day, hour, minute, second]) = parts.as_deref() else {
        return Err(invalid("Date must be in ISO-8601 'basic format'."));
    };
    // Days since 1970 by the Gregorian calendar, counted from March.
    let (y, m) = if *month > 2 { (*year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 719_469;
    let then = days * 86_400 + hour * 3_600 + minute * 60 + second;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let off = now.abs_diff(u64::try_from(then).unwrap_or(0));
    if off > SKEW_S || !time.starts_with(date) {
        return Err(invalid(format!("Signature expired: {time} is {off} s off")));
    }
    Ok(())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn denied(message: &str) -> Refuse {
    Refuse::new(403, message)
}

fn invalid(message: impl Into<String>) -> Refuse {
    Refuse { code: Some("InvalidSignatureException"), ..Refuse::new(403, message) }
}

/// What hands out keys: `None` for other paths.
pub(in super::super) fn keys(
    recorded: &Recorded,
) -> Option<Result<(&'static str, String), Refuse>> {
    let path = recorded.path.as_str();
    let text = |text: String| Ok(("text/plain", text));
    Some(match (&recorded.method, path) {
        (&Method::POST, "/sts/") => sts(recorded).map(|xml| ("text/xml", xml)),
        (&Method::PUT, "/latest/api/token")
            if !recorded.header("x-aws-ec2-metadata-token-ttl-seconds").is_empty() =>
        {
            text("imds-token==".to_owned())
        }
        (&Method::GET, "/latest/meta-data/iam/security-credentials/") => {
            of_machine(recorded, || "the-role\n".to_owned()).and_then(text)
        }
        (&Method::GET, "/latest/meta-data/iam/security-credentials/the-role") => {
            let keys = || metadata("ASIDMACHINE", "machine/secret", "machine-token==").to_string();
            of_machine(recorded, keys).and_then(text)
        }
        (&Method::GET, "/container/keys")
            if recorded.header("authorization") == "container-door" =>
        {
            text(metadata("ASIDCONTAINER", "container/secret", "container-token==").to_string())
        }
        (&Method::GET, "/container/keys") => Err(denied("who are you?")),
        _ => return None,
    })
}

fn of_machine(recorded: &Recorded, say: impl FnOnce() -> String) -> Result<String, Refuse> {
    if recorded.header("x-aws-ec2-metadata-token") == "imds-token==" {
        Ok(say())
    } else {
        Err(Refuse::new(401, "Unauthorized"))
    }
}

fn metadata(access: &str, secret: &str, token: &str) -> Value {
    json!({
        "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": access, "SecretAccessKey": secret,
        "Token": token, "Expiration": "2999-01-01T00:00:00Z", "LastUpdated": "2026-01-01T00:00:00Z",
    })
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
fn sts(recorded: &Recorded) -> Result<String, Refuse> {
    let body = String::from_utf8_lossy(&recorded.body).into_owned();
    let has = |pair: &str| body.split('&').any(|other| other == pair);
    let role = has("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fscripted");
    let (action, access, secret, token) = if has("Action=AssumeRole") {
        authorise(recorded, "sts")?;
        ("AssumeRole", "ASIDROLE", "role/secret", "role-token==")
    } else if has("Action=AssumeRoleWithWebIdentity") && has("WebIdentityToken=a.web.token") {
        ("AssumeRoleWithWebIdentity", "ASIDWEB", "web/secret", "web-token==")
    } else {
        return Err(Refuse::new(400, "InvalidIdentityToken"));
    };
    if !role || !has("Version=2011-06-15") || !has("DurationSeconds=3600") {
        return Err(denied("User is not authorized to perform: sts:AssumeRole"));
    }
    Ok(format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  \
         <{action}Result>\n    <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/scripted/s</Arn></AssumedRoleUser>\n    \
         <Credentials>\n      <AccessKeyId>{access}</AccessKeyId>\n      <SecretAccessKey>{secret}</SecretAccessKey>\n      \
         <SessionToken>{token}</SessionToken>\n      <Expiration>2999-01-01T00:00:00Z</Expiration>\n    \
         </Credentials>\n  </{action}Result>\n</{action}Response>\n"
    ))
}
