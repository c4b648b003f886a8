//! Opening a database.

use std::time::{Duration, Instant};

use tollgate_store::{Store, StoreError};

use crate::database::{Database, key, on_both};

on_both!(a_database_keeps_what_it_has, async |db: &Database| {
    db.store.insert_key(&key(1)).await.unwrap();
    db.store.set_setting("name", "one").await.unwrap();
    db.store.set_setting("name", "two").await.unwrap();
    assert_eq!(db.store.setting_or_insert("name", "three").await.unwrap(), "two");
    assert_eq!(db.store.setting_or_insert("other", "three").await.unwrap(), "three");
    let again = Store::open(&db.url).await.unwrap();
    again.ping().await.unwrap();
    assert_eq!(again.setting("name").await.unwrap().as_deref(), Some("two"));
    assert_eq!(again.setting("nothing").await.unwrap(), None);
    assert_eq!(again.each_key(drop).await.unwrap(), 1);
    again.close().await;
});

on_both!(a_newer_database_is_refused, async |db: &Database| {
    db.run("INSERT INTO migrations (version, name, sql) VALUES (99, 'future', '')").await;
    let Err(StoreError::NewerSchema { found: 99, known }) = Store::open(&db.url).await else {
        panic!("expected a refusal")
    };
    assert!(known < 99);
});

on_both!(another_history_is_refused, async |db: &Database| {
    db.run("UPDATE migrations SET sql = 'something else'").await;
    assert!(matches!(Store::open(&db.url).await, Err(StoreError::Corrupt(_))));
});

on_both!(many_may_migrate_at_once, async |db: &Database| {
    db.run(
        "DROP TABLE migrations; DROP TABLE keys; DROP TABLE key_successors;
        DROP TABLE usage; DROP TABLE settings; DROP TABLE spend_log; DROP TABLE pending",
    )
    .await;
    let opens: Vec<_> = (0..8)
        .map(|_| {
            let url = db.url.clone();
            tokio::spawn(async move { Store::open(&url).await })
        })
        .collect();
    for open in opens {
        let store = open.await.unwrap().unwrap();
        assert_eq!(store.each_key(drop).await.unwrap(), 0);
        store.close().await;
    }
});

#[tokio::test]
async fn many_may_create_a_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/a/b/new.db", folder.path().display());
    let opens: Vec<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { Store::open(&url).await })
        })
        .collect();
    for open in opens {
        open.await.unwrap().unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let db = Database::sqlite().await;
    db.store.insert_key(&key(1)).await.unwrap();
    let folder = db.file().parent().unwrap().to_owned();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in std::fs::read_dir(folder).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[tokio::test]
async fn memory_is_one_database() {
    let store = Store::open("sqlite::memory:").await.unwrap();
    store.insert_key(&key(1)).await.unwrap();
    assert_eq!(store.clone().each_key(drop).await.unwrap(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_noticed_soon() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let started = Instant::now();
    let error = Store::open(&format!("postgres://user:secret@{free}/none")).await.unwrap_err();
    assert!(error.retry(), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_noticed() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://user@{}/none", silent.local_addr().unwrap());
    let error = Store::open(&url).await.unwrap_err();
    assert!(error.retry(), "{error}");
}

#[tokio::test]
async fn a_url_without_a_database_is_explained() {
    for url in ["mysql://host/db", "", "postgres://host:port/db", "tollgate.db"] {
        let error = Store::open(url).await.unwrap_err();
        assert!(!error.retry(), "{url}: {error}");
    }
}
