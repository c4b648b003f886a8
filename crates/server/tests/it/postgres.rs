//! A PostgreSQL database for one test, on the server that `TOLLGATE_TEST_POSTGRES` names.

use std::{
    path::PathBuf,
    process::{Command, Output},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

/// A database of its own; dropped with it.
#[derive(Debug)]
pub(crate) struct Database {
    server: String,
    name: String,
}

/// `postgres://user@host:port/db` of a server on which databases may be made, if the run has one.
#[expect(clippy::disallowed_methods, reason = "the test run says where its PostgreSQL is")]
pub(crate) fn server() -> Option<String> {
    std::env::var("TOLLGATE_TEST_POSTGRES").ok()
}

/// Whether this run wants every gateway on PostgreSQL instead of SQLite.
#[expect(clippy::disallowed_methods, reason = "the test run says which database it is about")]
pub(crate) fn wanted() -> bool {
    match std::env::var("TOLLGATE_TEST_DATABASE").as_deref() {
        Ok("postgres") => true,
        Ok("sqlite") | Err(_) => false,
        Ok(other) => panic!("TOLLGATE_TEST_DATABASE is `{other}`: expected sqlite or postgres"),
    }
}

impl Database {
    pub(crate) fn create(server: String) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let nth = NEXT.fetch_add(1, Relaxed);
        let name = format!("tollgate_it_{}_{nth}", std::process::id());
        // One that an earlier process of this number left would not be empty.
        run(&server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        let made = run(&server, &format!("CREATE DATABASE {name}"));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Database { server, name }
    }

    pub(crate) fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').expect("postgres://user@host:port/db");
        format!("{server}/{}", self.name)
    }

    /// `127.0.0.1:5432`.
    pub(crate) fn address(&self) -> &str {
        let host = self.server.split_once("://").expect("a URL").1;
        let host = host.split('/').next().expect("a part before the first slash");
        host.rsplit('@').next().expect("a host")
    }

    /// The URL of the same database behind a proxy.
    pub(crate) fn url_by(&self, proxy: &str) -> String {
        self.url().replace(self.address(), proxy)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Whoever started the server removes it as a whole; a database that stays does no harm.
        run(&self.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

/// Runs a statement on the server.
pub(crate) fn run(server: &str, sql: &str) -> Output {
    static PSQL: LazyLock<PathBuf> = LazyLock::new(psql);
    let ran = Command::new(&*PSQL).args(["-X", "-q", "-d", server, "-c", sql]).output();
    ran.unwrap_or_else(|error| panic!("cannot run {}: {error}", PSQL.display()))
}

/// Debian keeps it outside of PATH and has a slow wrapper there.
fn psql() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|entry| entry.path().join("bin/psql")).filter(|psql| psql.is_file());
    found.max().unwrap_or_else(|| PathBuf::from("psql"))
}
