//! `WHERE` clauses made of the conditions that are set.

use std::fmt::Write;

use crate::db::Value;

/// Conditions, all of which must hold, and the values they are bound to.
#[derive(Debug, Default)]
pub(crate) struct Where {
    sql: String,
    values: Vec<Value>,
}

impl Where {
    /// Adds a condition, in which each `?` stands for `value`.
    pub(crate) fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        let place = self.bind(value);
        self.sql.push_str(&condition.replace('?', &place));
    }

    /// Adds `column = value` if there is a value.
    pub(crate) fn and_equal(&mut self, column: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.and(&format!("{column} = ?"), value);
        }
    }

    /// Binds a value that is used after the conditions; returns its placeholder.
    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        let mut place = String::with_capacity(4);
        let _ = write!(place, "${}", self.values.len());
        place
    }

    /// The clause, empty without conditions, and its values.
    pub(crate) fn parts(&self) -> (&str, Vec<Value>) {
        (&self.sql, self.values.clone())
    }
}
