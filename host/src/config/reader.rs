//! Reading tables and values with the line they stand on.
//!
//! By hand rather than with serde: its messages quote the value that it did not like, and that value may be a client
//! secret on the wrong line. Nothing here puts a value into a message.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::suggest::suggest;
use crate::error::{Code, Error, Result, foreign};

/// The file that is read.
#[derive(Clone, Copy)]
pub(super) struct Document<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
}

impl<'a> Document<'a> {
    /// The table of the whole file.
    pub(super) fn parse(self) -> Result<Section<'a>> {
        let table = DeTable::parse(self.text).map_err(|error| {
            // Its `Display` would show the line; its message is a fixed description.
            let at = error.span().map_or(0, |span| span.start);
            let hint = if self.has_more_behind_a_table(at) {
                "A [table] stands on a line of its own: write what belongs to it below that line."
            } else {
                "Correct the line: a text stands in quotation marks, and a key or table is there once."
            };
            self.error(at, &format!("this is not TOML: {}", error.message().replace('\n', ", ")), hint)
        })?;
        Ok(Section { document: self, name: String::new(), at: 0, table: table.into_inner(), known: Vec::new() })
    }

    /// Whether the line reads `[table] key = value`.
    fn has_more_behind_a_table(self, at: usize) -> bool {
        let (before, after) = self.text.split_at_checked(at).unwrap_or((self.text, ""));
        let line = before.rsplit('\n').next().unwrap_or_default().to_owned() + after.lines().next().unwrap_or_default();
        line.trim_start().starts_with('[') && line.split_once(']').is_some_and(|(_, more)| more.contains('='))
    }

    fn error(self, at: usize, what: &str, hint: &str) -> Error {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        Error::new(Code::InvalidConfiguration, format!("{} line {line}: {what}.", self.file.display()), hint.to_owned())
    }
}

/// A table, from which known keys are taken one by one.
pub(super) struct Section<'a> {
    document: Document<'a>,
    /// As it is called in messages: `[egress]`; empty for the whole file.
    name: String,
    at: usize,
    table: DeTable<'a>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The value of a key, which is known from now on.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.known.push(key);
        let value = self.table.remove(key)?;
        Some(Item::new(self.document, self.place(key), value))
    }

    /// The table under a key of the file; an empty one where there is none.
    pub(super) fn section(&mut self, key: &'static str) -> Result<Self> {
        let name = format!("[{key}]");
        match self.take(key) {
            Some(item) => Ok(item.table("a table", &format!("{name}, with its keys on the lines below"))?.named(name)),
            None => Ok(Self { document: self.document, name, at: 0, table: DeTable::new(), known: Vec::new() }),
        }
    }

    /// That something is wrong with the table as a whole; `what` begins with a verb.
    pub(super) fn error(&self, what: &str, hint: &str) -> Error {
        self.document.error(self.at, &format!("{} {what}", self.name), hint)
    }

    /// The same table under the name that it has in the file.
    pub(super) fn named(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// All that is left, for tables whose keys are not known here.
    pub(super) fn rest(self) -> Vec<(String, Item<'a>)> {
        let places: Vec<String> = self.table.keys().map(|key| self.place(key.get_ref())).collect();
        let items = self.table.into_iter().zip(places);
        items.map(|((key, value), place)| (key.into_inner().into_owned(), Item::new(self.document, place, value))).collect()
    }

    /// Whether there is nothing left.
    pub(super) fn finish(self) -> Result<()> {
        let Some((key, _)) = self.table.iter().min_by_key(|(key, _)| key.span().start) else { return Ok(()) };
        let whose = if self.name.is_empty() { "this file" } else { &self.name };
        let what = format!("{whose} has no key {}", foreign(key.get_ref()));
        let possible = self.known.join(", ");
        let hint = suggest(key.get_ref(), self.known.iter().copied()).map_or_else(
            || format!("Use one of: {possible}."),
            |word| format!("Did you mean \"{word}\"? There are: {possible}."),
        );
        Err(self.document.error(key.span().start, &what, &hint))
    }

    fn place(&self, key: &str) -> String {
        let key = key.escape_debug();
        if self.name.is_empty() { key.to_string() } else { format!("{} {key}", self.name) }
    }
}

/// A value, and where it stands.
pub(super) struct Item<'a> {
    document: Document<'a>,
    place: String,
    at: usize,
    value: DeValue<'a>,
}

impl<'a> Item<'a> {
    fn new(document: Document<'a>, place: String, value: Spanned<DeValue<'a>>) -> Self {
        Self { document, place, at: value.span().start, value: value.into_inner() }
    }

    /// That the value is not what is expected; `form` shows how it is written.
    pub(super) fn wrong(&self, expected: &str, form: &str) -> Error {
        self.wrong_at(self.at, expected, form)
    }

    /// A text.
    pub(super) fn text(&self) -> Option<&str> {
        self.value.as_str()
    }

    /// A text that `read` makes something of.
    pub(super) fn parsed<T>(&self, read: impl FnOnce(&str) -> Option<T>, expected: &str, form: &str) -> Result<T> {
        self.text().and_then(read).ok_or_else(|| self.wrong(expected, form))
    }

    /// A list of texts that `read` makes something of, each.
    pub(super) fn list<T>(&self, read: impl Fn(&str) -> Option<T>, expected: &str, form: &str) -> Result<Vec<T>> {
        let items = self.value.as_array().ok_or_else(|| self.wrong(expected, form))?;
        let parsed = |item: &Spanned<DeValue<'_>>| {
            item.get_ref().as_str().and_then(&read).ok_or_else(|| self.wrong_at(item.span().start, expected, form))
        };
        items.iter().map(parsed).collect()
    }

    /// A list of tables, each called in messages as the list is placed.
    pub(super) fn tables(self, expected: &str, form: &str) -> Result<Vec<Section<'a>>> {
        let wrong = self.wrong(expected, form);
        let DeValue::Array(items) = self.value else { return Err(wrong) };
        let (document, place) = (self.document, self.place);
        items.into_iter().map(|item| Item::new(document, place.clone(), item).table(expected, form)).collect()
    }

    /// A whole number from 1.
    pub(super) fn positive(&self, form: &str) -> Result<u64> {
        let number = self.value.as_integer().and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
        number.filter(|number| *number > 0).ok_or_else(|| self.wrong("a whole number from 1", form))
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, bounds: std::ops::RangeInclusive<u64>, form: &str) -> Result<u64> {
        let number = self.value.as_integer().and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
        let expected = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        number.filter(|number| bounds.contains(number)).ok_or_else(|| self.wrong(&expected, form))
    }

    /// `true` or `false`.
    pub(super) fn yes_or_no(&self, form: &str) -> Result<bool> {
        self.value.as_bool().ok_or_else(|| self.wrong("true or false", form))
    }

    /// A table, called in messages as it is placed.
    pub(super) fn table(self, expected: &str, form: &str) -> Result<Section<'a>> {
        let wrong = self.wrong(expected, form);
        let DeValue::Table(table) = self.value else { return Err(wrong) };
        Ok(Section { document: self.document, name: self.place, at: self.at, table, known: Vec::new() })
    }

    /// Something else that is wrong with it; `what` begins with a verb.
    pub(super) fn error(&self, what: &str, hint: &str) -> Error {
        self.document.error(self.at, &format!("{} {what}", self.place), hint)
    }

    fn wrong_at(&self, at: usize, expected: &str, form: &str) -> Error {
        self.document.error(at, &format!("{} must be {expected}", self.place), &format!("Write it as {form}."))
    }
}
