//! Whole answers: a prediction at its end.

use super::job::{Prediction, Status};
use crate::{
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{Choice, Extra, Part, Response},
};

pub(super) fn read(body: &[u8]) -> Result<Response, Malformed> {
    let malformed = |fault: crate::Fault| Malformed { message: fault.message, param: fault.param };
    let told = Prediction::read(body).map_err(malformed)?;
    if told.status() != Status::Succeeded {
        return Err(malformed(told.fault()));
    }
    let text = told.text().map_err(malformed)?;
    Ok(Response {
        upstream: Dialect::Replicate,
        id: told.id.clone().unwrap_or_default(),
        model: String::new(),
        created: None,
        choices: vec![Choice {
            blocks: vec![Part::Text(text).into()],
            finish: Some(told.finish()),
            ..Choice::default()
        }],
        usage: told.usage(),
        extra: Extra::new(),
    })
}
