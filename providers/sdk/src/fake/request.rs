//! A request, held to the table.

use std::cell::RefCell;

use super::{Failure, Response, Secret, testing};

/// A request to one endpoint of the table; see `request` in `wit/host.wit`.
#[derive(Debug)]
pub struct Request(RefCell<testing::Sent>);

impl Request {
    /// `endpoint` is an id of the table; `arguments` fill the `{argument.NAME}` places of its URL.
    #[must_use]
    pub fn new(endpoint: &str, arguments: &[(String, String)]) -> Self {
        Self(RefCell::new(testing::Sent {
            endpoint: endpoint.to_owned(),
            arguments: arguments.to_vec(),
            ..testing::Sent::default()
        }))
    }

    /// A header that the table lists.
    pub fn header(&self, name: &str, value: &str) {
        self.put(|sent| &mut sent.headers, name, value);
        self.need(|table| testing::lists(table, "/headers", name), || format!("the header {name} is not in the table"));
    }

    /// A member of the form.
    pub fn form(&self, name: &str, value: &str) {
        self.put(|sent| &mut sent.form, name, value);
    }

    /// A member of the JSON body.
    pub fn json(&self, pointer: &str, value: &str) {
        self.put(|sent| &mut sent.json, pointer, value);
    }

    /// A secret as a header.
    pub fn header_secret(&self, name: &str, value: &Secret) {
        self.put(|sent| &mut sent.headers, name, &shown(value));
        self.need_slot(&format!("header.{name}"), value);
    }

    /// A secret as a form member.
    pub fn form_secret(&self, name: &str, value: &Secret) {
        self.put(|sent| &mut sent.form, name, &shown(value));
        self.need_slot(&format!("form.{name}"), value);
    }

    /// A secret as a JSON string.
    pub fn json_secret(&self, pointer: &str, value: &Secret) {
        self.put(|sent| &mut sent.json, pointer, &shown(value));
        self.need_slot(&format!("json.{pointer}"), value);
    }

    /// Client or bearer authentication.
    pub fn authenticate(&self, scheme: &str, user: &str, key: &Secret) {
        self.0.borrow_mut().authorization = Some((scheme.to_owned(), user.to_owned()));
        self.need_slot(&format!("authorization.{scheme}"), key);
    }

    /// Sends it, once.
    ///
    /// # Errors
    /// `refused` where the table does not allow it; else what the test laid ready.
    pub fn send(&self) -> Result<Response, Failure> {
        let sent = self.0.borrow().clone();
        testing::with(|broker| broker.serve(sent))
    }

    fn put(&self, part: impl FnOnce(&mut testing::Sent) -> &mut Vec<(String, String)>, name: &str, value: &str) {
        part(&mut self.0.borrow_mut()).push((name.to_owned(), value.to_owned()));
    }

    fn need_slot(&self, slot: &str, value: &Secret) {
        self.need(
            |table| table["slots"][slot].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == value.kind.as_str())),
            || format!("there is no slot {slot} for a secret of the kind {}", value.kind),
        );
    }

    /// Remembers the first thing that the table does not allow.
    fn need(&self, holds: impl FnOnce(&serde_json::Value) -> bool, otherwise: impl FnOnce() -> String) {
        let mut sent = self.0.borrow_mut();
        let allowed = testing::with(|broker| broker.endpoint(&sent.endpoint).is_some_and(holds));
        if !allowed && sent.refused.is_none() {
            sent.refused = Some(otherwise());
        }
    }
}

fn shown(secret: &Secret) -> String {
    format!("[{}]", secret.kind)
}
