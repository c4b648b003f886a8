//! The scripted upstream as a program, for tests in other languages. Prints its URL as the first
//! line and runs until standard input closes or it is killed.
//!
//! `scripted-upstream [ADDRESS]`; the address is `127.0.0.1:0` where none is given.
//! `GET /_scripted/requests` shows what came in, `POST /_scripted/script` takes a JSON array of
//! replies by name, `POST /_scripted/forget` forgets both.
#![expect(clippy::print_stdout, reason = "the first line is the interface")]

use std::io::Write as _;

use tokio::io::AsyncReadExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let upstream = tollgate_testkit::ScriptedUpstream::listen(&addr).await;
    println!("{}", upstream.url());
    std::io::stdout().flush()?;
    // Whoever started it and is gone, however it ended, closes this pipe.
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 64];
    while stdin.read(&mut ignored).await? > 0 {}
    Ok(())
}
