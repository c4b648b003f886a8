//! Rules about every text file.

use super::Finding;

/// Every broken rule of one file.
pub(super) fn check(name: &str, text: &str) -> Vec<Finding> {
    let at = |line: usize, message: &str| Finding {
        file: name.to_owned(),
        line,
        message: message.to_owned(),
    };
    let mut out = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line)) {
        if name.ends_with("package-lock.json") && line.contains("\"resolved\"") {
            out.push(at(
                number,
                "a lock file names no registry: the installing machine has its own",
            ));
        }
        if name == "Cargo.lock"
            && line.starts_with("source = ")
            && !line.contains("registry+https://github.com/rust-lang/crates.io-index")
        {
            out.push(at(number, "every crate comes from crates.io"));
        }
        if line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ") {
            out.push(at(number, "a merge that was not finished"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn each_rule_can_fail() {
        let lock = "  \"resolved\": \"https://a-registry/x.tgz\",";
        assert_eq!(check("tests/clients/node/package-lock.json", lock).len(), 1);
        assert_eq!(check("Cargo.lock", "source = \"git+https://x\"").len(), 1);
        let marker = format!("{} ours", "<".repeat(7));
        assert_eq!(check("README.md", &marker).len(), 1);
        assert!(check("README.md", "text").is_empty());
    }
}
