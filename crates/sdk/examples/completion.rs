//! A chat with a model at Apertis. Set STIMA_API_KEY and run:
//!
//! ```text
//! cargo run -p tollgate --example completion -- model-name
//! ```

#![expect(clippy::print_stdout, reason = "an example prints what it has")]

use tollgate::{completion, user};

#[tokio::main]
async fn main() -> Result<(), tollgate::Error> {
    let model = std::env::args().nth(1).unwrap_or_else(|| "model-name".to_owned());

    let response = completion(format!("apertis/{model}"), [user("Hello, how are you?")]).await?;

    println!("{}", response.text());
    if let Some(usage) = &response.usage {
        println!("{} + {} tokens", usage.prompt_tokens, usage.completion_tokens);
    }
    Ok(())
}
