//! Profiles of the shared files, `~/.aws/credentials` and `config` beside it.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>

use std::collections::HashMap;

/// The largest file that is read.
const MAX_FILE: usize = 1 << 20;

/// The settings of one profile.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Profile(HashMap<String, String>);

impl Profile {
    /// The profile `name` of both files; `None` where neither has it. What the file of credentials
    /// says counts first.
    pub(super) fn read(name: &str, credentials: &str, config: &str) -> Option<Profile> {
        let mut found = section(credentials, |title| title == name);
        let of_config = section(config, |title| {
            let named = title.strip_prefix("profile").map(str::trim_start);
            named.unwrap_or(title) == name && (named.is_some() || name == "default")
        });
        if let Some(config) = of_config {
            let mut settings = config;
            settings.extend(found.unwrap_or_default());
            found = Some(settings);
        }
        found.map(Profile)
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// The settings under the titles that fit.
fn section(text: &str, fits: impl Fn(&str) -> bool) -> Option<HashMap<String, String>> {
    let mut settings: Option<HashMap<String, String>> = None;
    let mut inside = false;
    for line in text.get(..MAX_FILE).unwrap_or(text).lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(title) = trimmed.strip_prefix('[') {
            let title = title.split(']').next().unwrap_or_default().trim();
            inside = fits(title);
            if inside {
                settings.get_or_insert_default();
            }
            continue;
        }
        // An indented line goes on with the setting before: none that we read has such lines.
        if !inside || line.starts_with([' ', '\t']) {
            continue;
        }
        if let (Some(settings), Some((key, value))) = (&mut settings, trimmed.split_once('=')) {
            // A comment may follow, after white space.
            let value = value.split(" #").next().unwrap_or_default().trim();
            settings.insert(key.trim().to_ascii_lowercase(), value.to_owned());
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "\
# keys
[default]
aws_access_key_id = AKIA1
aws_secret_access_key=s1=/+ # mine

[work]
AWS_ACCESS_KEY_ID = AKIA2
aws_secret_access_key = s2
aws_session_token = t2
";
    const CONFIG: &str = "\
[default]
region = eu-west-1
[profile work]
aws_secret_access_key = other
s3 =
  max_concurrent_requests = 20
[profile  role]
role_arn = arn:aws:iam::1:role/r
source_profile = work
[services x]
a = b
";

    #[test]
    fn profiles_of_both_files() {
        let read = |name| Profile::read(name, CREDENTIALS, CONFIG);
        let default = read("default").unwrap();
        assert_eq!(default.get("aws_access_key_id"), Some("AKIA1"));
        assert_eq!(default.get("aws_secret_access_key"), Some("s1=/+"));
        assert_eq!(default.get("region"), Some("eu-west-1"));
        let work = read("work").unwrap();
        assert_eq!(work.get("aws_access_key_id"), Some("AKIA2"));
        assert_eq!(work.get("aws_secret_access_key"), Some("s2"));
        assert_eq!(work.get("aws_session_token"), Some("t2"));
        assert_eq!(work.get("max_concurrent_requests"), None);
        assert_eq!(work.get("s3"), None);
        let role = read("role").unwrap();
        assert_eq!(role.get("source_profile"), Some("work"));
        assert_eq!(read("services x"), None);
        assert_eq!(read("nobody"), None);
    }
}
