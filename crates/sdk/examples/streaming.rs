//! A streamed chat with a model at Apertis. Set STIMA_API_KEY and run:
//!
//! ```text
//! cargo run -p tollgate --example streaming -- model-name
//! ```

#![expect(clippy::print_stdout, reason = "an example prints what it has")]

use std::io::Write;

use tollgate::{completion, user};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = std::env::args().nth(1).unwrap_or_else(|| "model-name".to_owned());

    let mut stream = completion(format!("apertis/{model}"), [user("Write a short poem about AI")])
        .temperature(0.7)
        .stream()
        .await?;

    while let Some(chunk) = stream.next().await {
        print!("{}", chunk?.text());
        std::io::stdout().flush()?;
    }
    println!("\n{} + {} tokens", stream.usage().input, stream.usage().output);
    Ok(())
}
