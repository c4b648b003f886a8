//! Who may import whom, read from `cargo metadata`; and crates that nobody may bring in.

use std::{path::Path, process::Command};

use anyhow::Context;
use serde::Deserialize;

use super::Finding;

/// What one of our crates may import, and what it must never.
struct Edges {
    name: &'static str,
    /// Of our own crates.
    ours: &'static [&'static str],
    /// Of others' crates.
    never: &'static [&'static str],
}

/// The direction of the house. Anything else fails.
const TABLE: &[Edges] = &[
    Edges {
        name: "tollgate-wire",
        ours: &[],
        never: &["tokio", "sqlx", "hyper", "hyper-util", "axum", "reqwest", "jiff", "fastrand"],
    },
    Edges {
        name: "tollgate-ledger",
        ours: &["tollgate-wire"],
        never: &["tokio", "sqlx", "hyper", "hyper-util", "axum", "reqwest", "jiff", "fastrand"],
    },
    Edges {
        name: "tollgate-router",
        ours: &["tollgate-wire", "tollgate-ledger"],
        never: &["sqlx", "axum", "reqwest"],
    },
    Edges {
        name: "tollgate-store",
        ours: &["tollgate-ledger"],
        never: &["axum", "hyper", "hyper-util", "reqwest"],
    },
    Edges {
        name: "tollgate-gateway",
        ours: &["tollgate-wire", "tollgate-ledger", "tollgate-router", "tollgate-store"],
        never: &["axum", "clap", "pyo3", "sqlx", "reqwest"],
    },
    // The command line's `chat` is the SDK's caller; the admin API shows the types of the rest.
    Edges {
        name: "tollgate-server",
        ours: &[
            "tollgate-gateway",
            "tollgate-store",
            "tollgate-router",
            "tollgate-ledger",
            "tollgate-wire",
            "tollgate",
        ],
        never: &["sqlx", "pyo3", "reqwest"],
    },
    Edges {
        name: "tollgate",
        ours: &["tollgate-wire", "tollgate-ledger", "tollgate-router"],
        never: &["sqlx", "axum", "reqwest"],
    },
    Edges { name: "tollgate-testkit", ours: &[], never: &["sqlx", "axum", "reqwest"] },
    Edges {
        name: "tollgate-fuzzed",
        ours: &["tollgate-wire"],
        never: &["tokio", "sqlx", "hyper", "axum", "reqwest"],
    },
    Edges {
        name: "tollgate-bench",
        ours: &[
            "tollgate-gateway",
            "tollgate-ledger",
            "tollgate-router",
            "tollgate-store",
            "tollgate-wire",
        ],
        never: &["reqwest"],
    },
    Edges {
        name: "xtask",
        ours: &["tollgate-wire", "tollgate-fuzzed"],
        never: &["sqlx", "axum", "tokio", "reqwest"],
    },
];

/// Crates that nobody may bring in, through however many others.
const BANNED: &[(&str, &str)] = &[
    (
        "ring",
        "a second crypto provider makes rustls panic at the first connection: aws-lc-rs alone",
    ),
    ("openssl-sys", "TLS is rustls"),
    ("native-tls", "TLS is rustls"),
    ("reqwest", "upstream calls go through the router's own client"),
    ("serde_yaml", "it is not kept up any more"),
];

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `None` for a normal one, else `dev` or `build`.
    kind: Option<String>,
}

/// Every edge that is not in the table, and every banned crate.
pub(super) fn check(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let text = cargo(root, &["metadata", "--format-version=1", "--no-deps", "--locked"])?;
    let metadata: Metadata = serde_json::from_str(&text).context("cargo metadata")?;
    anyhow::ensure!(!metadata.packages.is_empty(), "cargo metadata names no package");
    let mut out: Vec<Finding> = metadata.packages.iter().flat_map(edges).collect();
    // What is compiled in on the platform that we ship for; a lock file also lists the rest.
    let words = ["tree", "--workspace", "--locked", "--edges=normal,build", "--prefix=none"];
    let tree = cargo(root, &[&words[..], &["--target=x86_64-unknown-linux-gnu"]].concat())?;
    out.extend(banned(&tree));
    Ok(out)
}

fn cargo(root: &Path, words: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(env!("CARGO")).args(words).current_dir(root).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "cargo {} failed\n{errors}", words.join(" "));
    String::from_utf8(output.stdout).context("cargo wrote something that is not UTF-8")
}

fn edges(package: &Package) -> Vec<Finding> {
    let finding = |message: String| Finding { file: package.name.clone(), line: 0, message };
    let Some(row) = TABLE.iter().find(|row| row.name == package.name) else {
        let message = "no row in xtask/src/tidy/crates.rs says what it may import".to_owned();
        return vec![finding(message)];
    };
    let is_ours = |name: &str| TABLE.iter().any(|row| row.name == name);
    let mut out = Vec::new();
    for dependency in &package.dependencies {
        let name = dependency.name.as_str();
        let dev = dependency.kind.as_deref() == Some("dev");
        if name == "tollgate-testkit" && !dev {
            // Its programs are built with the workspace; nothing we ship contains it.
            out.push(finding("imports tollgate-testkit outside of its tests".to_owned()));
        } else if is_ours(name) && !row.ours.contains(&name) && !dev {
            out.push(finding(format!("may not import {name}")));
        }
        if !dev && row.never.contains(&name) {
            out.push(finding(format!("must never import {name}")));
        }
    }
    out
}

fn banned(tree: &str) -> Vec<Finding> {
    let present = |name: &str| tree.lines().any(|line| line.split(' ').next() == Some(name));
    BANNED
        .iter()
        .filter(|(name, _)| present(name))
        .map(|(name, why)| Finding {
            file: "Cargo.lock".to_owned(),
            line: 0,
            message: format!("`{name}` is compiled in: {why} (cargo tree -i {name})"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Dependency, Package, banned, edges};

    fn package(name: &str, dependency: &str, kind: Option<&str>) -> Package {
        Package {
            name: name.to_owned(),
            dependencies: vec![Dependency {
                name: dependency.to_owned(),
                kind: kind.map(str::to_owned),
            }],
        }
    }

    #[test]
    fn allowed_edges_pass() {
        for (name, dependency, kind) in [
            ("tollgate-ledger", "tollgate-wire", None),
            ("tollgate-gateway", "tollgate-testkit", Some("dev")),
            ("tollgate-wire", "serde", None),
            ("tollgate-router", "hyper", None),
        ] {
            assert!(edges(&package(name, dependency, kind)).is_empty(), "{name} -> {dependency}");
        }
    }

    #[test]
    fn other_edges_fail() {
        for (name, dependency) in [
            ("tollgate-wire", "tollgate-ledger"),
            ("tollgate-wire", "tokio"),
            ("tollgate-store", "tollgate-wire"),
            ("tollgate-router", "tollgate-store"),
            ("tollgate-gateway", "axum"),
            ("tollgate-server", "sqlx"),
            ("tollgate", "tollgate-gateway"),
            ("tollgate-server", "tollgate-testkit"),
            ("a-crate-without-a-row", "serde"),
        ] {
            assert_eq!(edges(&package(name, dependency, None)).len(), 1, "{name} -> {dependency}");
        }
    }

    #[test]
    fn banned_crates_fail() {
        assert_eq!(banned("rustls v0.23.1\nring v0.17.14\n").len(), 1);
        assert!(banned("rustls v0.23.1\nstring v1.0.0\nring-buffer v1.0.0\n").is_empty());
    }
}
