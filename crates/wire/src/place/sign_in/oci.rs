//! Oracle's API signing keys: LiteLLM's settings and variables, else a profile of the file that
//! Oracle's own tools read.
//! <https://docs.oracle.com/en-us/iaas/Content/API/Concepts/sdkconfig.htm>

use std::collections::BTreeMap;

use super::{bearer, key_of_env, login, nothing};
use crate::{
    Login, Provider, Secret,
    place::{Known, Lookup, Problem},
};

/// The largest file that is read.
const MAX_FILE: usize = 1 << 20;

pub(super) fn known(provider: &Provider, lookup: Lookup<'_>) -> Result<Known, Problem> {
    let given = |name: &str| {
        let variable = name.to_ascii_uppercase();
        lookup.any(&[name], &[&variable])
    };
    let [user, fingerprint, tenancy] = ["oci_user", "oci_fingerprint", "oci_tenancy"].map(given);
    let [key, key_file] = ["oci_key", "oci_key_file"].map(given);
    if let Some(text) = lookup.first_param(&["api_key"]) {
        return Ok(bearer(&text));
    }
    // Who says a user means no file.
    if user.is_none() {
        if let Some(text) = key_of_env(provider, lookup) {
            return Ok(bearer(&text));
        }
        return of_file(provider, lookup);
    }
    let key = match (key, key_file) {
        (Some(key), _) => Some(key),
        (None, Some(path)) => Some(file(&path, "oci_key_file", lookup)?),
        (None, None) => None,
    };
    let (Some(user), Some(fingerprint), Some(tenancy), Some(key)) =
        (user, fingerprint, tenancy, key)
    else {
        return Err(nothing(provider, &help(provider)));
    };
    Ok(signing(&user, &fingerprint, &tenancy, key))
}

fn help(provider: &Provider) -> String {
    let bearer = match provider.key_env.as_slice() {
        [] => String::new(),
        names => format!(", or `api_key` (or `{}`)", names.join("` or `")),
    };
    format!(
        "set `oci_user`, `oci_fingerprint`, `oci_tenancy` and `oci_key_file` or `oci_key` (or \
         `OCI_USER`, `OCI_FINGERPRINT`, `OCI_TENANCY` and `OCI_KEY_FILE` or `OCI_KEY`), or write \
         `~/.oci/config`{bearer}"
    )
}

fn signing(user: &str, fingerprint: &str, tenancy: &str, key: String) -> Known {
    let key_id = [tenancy, user, fingerprint].map(str::trim).join("/");
    login(Login::Oci { key_id, key: Secret::new(key) })
}

fn file(path: &str, param: &str, lookup: Lookup<'_>) -> Result<String, Problem> {
    (lookup.read)(path).map_err(|why| Problem {
        param: param.to_owned(),
        message: format!("`{path}`: {why}"),
        help: "it names a private RSA key in PEM form".to_owned(),
    })
}

/// The profile of the file: `OCI_CONFIG_PROFILE` of `OCI_CONFIG_FILE`, or `DEFAULT` of
/// `~/.oci/config`.
fn of_file(provider: &Provider, lookup: Lookup<'_>) -> Result<Known, Problem> {
    let home = lookup.first_env(&["HOME"]).unwrap_or_default();
    let named = lookup.first_env(&["OCI_CONFIG_FILE"]);
    let path = named.clone().unwrap_or_else(|| format!("{home}/.oci/config"));
    let text = match ((lookup.read)(&path), named) {
        (Ok(text), _) => text,
        // Nobody said that it is there.
        (Err(_), None) => return Err(nothing(provider, &help(provider))),
        (Err(why), Some(_)) => return Err(wrong(format!("`{path}`: {why}"))),
    };
    let name = lookup.first_env(&["OCI_CONFIG_PROFILE"]);
    let name = name.as_deref().unwrap_or("DEFAULT");
    let profile =
        profile(&text, name).ok_or_else(|| wrong(format!("`{path}` has no profile `{name}`")))?;
    let get = |entry: &str| {
        let value = profile.get(entry).filter(|value| !value.is_empty());
        value.ok_or_else(|| wrong(format!("profile `{name}` of `{path}` has no `{entry}`")))
    };
    if profile.contains_key("security_token_file") {
        return Err(wrong(format!(
            "profile `{name}` of `{path}` is of a session, which ends: expected an API signing key"
        )));
    }
    let key = match get("key_content") {
        Ok(key) => key.clone(),
        Err(_) => {
            let path = get("key_file")?;
            let path = match path.strip_prefix("~/") {
                Some(rest) => format!("{home}/{rest}"),
                None => path.clone(),
            };
            file(&path, "oci_key_file", lookup)?
        }
    };
    let mut known = signing(get("user")?, get("fingerprint")?, get("tenancy")?, key);
    if let Ok(region) = get("region") {
        known.offers.insert("region", region.clone());
    }
    Ok(known)
}

fn wrong(message: String) -> Problem {
    Problem {
        param: "oci_user".to_owned(),
        message,
        help: "see https://docs.oracle.com/en-us/iaas/Content/API/Concepts/sdkconfig.htm"
            .to_owned(),
    }
}

/// The entries under a title; what `DEFAULT` says holds for all.
fn profile(text: &str, name: &str) -> Option<BTreeMap<String, String>> {
    let mut entries = section(text, "DEFAULT");
    if name != "DEFAULT" {
        let own = section(text, name)?;
        entries.get_or_insert_default().extend(own);
    }
    entries
}

fn section(text: &str, name: &str) -> Option<BTreeMap<String, String>> {
    let mut entries: Option<BTreeMap<String, String>> = None;
    let mut inside = false;
    for line in text.get(..MAX_FILE).unwrap_or(text).lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(title) = line.strip_prefix('[') {
            inside = title.trim_end_matches(']').trim() == name;
            if inside {
                entries.get_or_insert_default();
            }
        } else if let (true, Some(entries), Some((entry, value))) =
            (inside, &mut entries, line.split_once('='))
        {
            entries.insert(entry.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use crate::{
        Login,
        catalogue::builtin,
        place::{Lookup, Problem, prepare},
    };

    const FILE: &str = "\
# mine
[DEFAULT]
user = ocid1.user.oc1..me
fingerprint=aa:bb
tenancy = ocid1.tenancy.oc1..t
region = eu-frankfurt-1
key_file=~/key.pem

[work]
user=ocid1.user.oc1..work
key_file = /keys/work.pem
[session]
security_token_file = /t
";

    /// The key's id, the key and the region that a place is called in; or what is wrong.
    fn shown(params: &[(&str, &str)], env: &[(&str, &str)], provider: &str) -> String {
        let find = |list: &[(&str, &str)], name: &str| {
            list.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        };
        let lookup = Lookup {
            param: &|name| find(params, name),
            env: &|name| find(env, name),
            read: &|path| match path {
                "/home/me/.oci/config" => Ok(FILE.to_owned()),
                "/home/me/key.pem" | "/keys/work.pem" => Ok(format!("pem of {path}")),
                _ => Err("there is no such file".to_owned()),
            },
        };
        let told = |problems: Vec<Problem>| -> String {
            problems.iter().map(|it| format!("{}; {}", it.message, it.help)).collect()
        };
        let site = match prepare(builtin().provider(provider).unwrap(), None, lookup) {
            Ok(site) => site,
            Err(problems) => return told(problems),
        };
        let base = match site.settle("m", None) {
            Ok(settled) => settled.base,
            Err(problems) => return told(problems),
        };
        match site.known.login.as_deref() {
            Some(Login::Oci { key_id, key }) => format!("{key_id} {} {base}", key.expose()),
            _ => format!("{:?} {base}", site.known.credential.map(|key| key.expose().to_owned())),
        }
    }

    #[test]
    fn keys_are_found_where_litellm_and_oracle_have_them() {
        let compartment = ("oci_compartment_id", "c");
        let own = [
            compartment,
            ("oci_user", "u"),
            ("oci_fingerprint", "f"),
            ("oci_tenancy", "t"),
            ("oci_key", "pem"),
            ("oci_region", "us-chicago-1"),
        ];
        let at = |region: &str| {
            format!("https://inference.generativeai.{region}.oci.oraclecloud.com/20231130")
        };
        let home = ("HOME", "/home/me");
        assert_eq!(shown(&own, &[home], "oci"), format!("t/u/f pem {}", at("us-chicago-1")));
        let env = [
            ("OCI_COMPARTMENT_ID", "c"),
            ("OCI_USER", "u"),
            ("OCI_FINGERPRINT", "f"),
            ("OCI_TENANCY", "t"),
            ("OCI_KEY_FILE", "/keys/work.pem"),
        ];
        let expect = format!("t/u/f pem of /keys/work.pem {}", at("us-ashburn-1"));
        assert_eq!(shown(&[], &env, "oci"), expect);
        let of_file = shown(&[compartment], &[home], "oci");
        let expect = "ocid1.tenancy.oc1..t/ocid1.user.oc1..me/aa:bb pem of /home/me/key.pem";
        assert_eq!(of_file, format!("{expect} {}", at("eu-frankfurt-1")));
        let work = shown(&[compartment], &[home, ("OCI_CONFIG_PROFILE", "work")], "oci");
        let expect = "ocid1.tenancy.oc1..t/ocid1.user.oc1..work/aa:bb pem of /keys/work.pem";
        assert_eq!(work, format!("{expect} {}", at("eu-frankfurt-1")));
        let key = shown(&[], &[("OCI_GENAI_API_KEY", "sk-1")], "oci_openai");
        assert!(key.starts_with("Some(\"sk-1\") https://inference."), "{key}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let compartment = ("oci_compartment_id", "c");
        let home = ("HOME", "/home/me");
        let half = shown(&[compartment, ("oci_user", "u")], &[home], "oci");
        assert!(half.contains("`oci` needs credentials; set `oci_user`, `oci_fing"), "{half}");
        let none = shown(&[compartment], &[], "oci_openai");
        assert!(none.contains("or `api_key` (or `OCI_GENAI_API_KEY`)"), "{none}");
        let session = shown(&[compartment], &[home, ("OCI_CONFIG_PROFILE", "session")], "oci");
        assert!(session.contains("is of a session, which ends"), "{session}");
        let nobody = shown(&[compartment], &[home, ("OCI_CONFIG_PROFILE", "no")], "oci");
        assert!(nobody.contains("has no profile `no`"), "{nobody}");
        let elsewhere = shown(&[compartment], &[("OCI_CONFIG_FILE", "/no")], "oci");
        assert!(elsewhere.contains("`/no`: there is no such file"), "{elsewhere}");
        let unsaid = shown(&[], &[home], "oci");
        assert!(
            unsaid.contains("`oci` needs to know its compartment id; set `oci_comp"),
            "{unsaid}"
        );
    }
}
