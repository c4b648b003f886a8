//! `tollgate demo`: everything at once, with no key, no network and no configuration.
//!
//! A scripted provider in this process ([`start`]) stands behind the real gateway ([`run`] shows
//! it off). Nothing here is used by any other command.

mod chat;
mod command;
mod embedding;
mod provider;
mod script;
mod tool;

pub(crate) use command::{DemoArgs, run};
pub(crate) use provider::start;
#[cfg(test)]
pub(crate) use provider::start_paced;
