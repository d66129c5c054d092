//! Requests of the agent that have no answer yet: where the server dies, each gets one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::message::{Message, id_key};

/// More are not remembered.
const MAX: usize = 65_536;

/// The requests.
#[derive(Default)]
pub(super) struct Open(Mutex<Table>);

#[derive(Default)]
struct Table {
    count: u64,
    /// By id; each with its number and its id as it was written.
    open: HashMap<String, (u64, String)>,
}

impl Open {
    /// Notes what goes down.
    pub(super) fn asked(&self, text: &str, messages: &[Message]) {
        let mut guard = self.lock();
        let Table { count, open } = &mut *guard;
        for message in messages {
            match (&message.method, &message.id, &message.cancels) {
                (Some(_), Some(id), _) if open.len() < MAX => {
                    *count += 1;
                    let raw = text.get(id.clone()).unwrap_or_default().to_owned();
                    open.insert(id_key(text, id), (*count, raw));
                }
                // A cancelled request gets no answer.
                (Some(method), None, Some(id)) if method == "notifications/cancelled" => drop(open.remove(&id_key(text, id))),
                _ => {}
            }
        }
    }

    /// Notes what goes up.
    pub(super) fn answered(&self, text: &str, messages: &[Message]) {
        let mut guard = self.lock();
        for message in messages.iter().filter(|message| message.method.is_none()) {
            if let Some(id) = &message.id {
                guard.open.remove(&id_key(text, id));
            }
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().open.is_empty()
    }

    /// Counts the request of an id, as a server writes it, as answered. Its id as the agent wrote it; none: nobody waits
    /// for that answer.
    pub(super) fn close(&self, id: &str) -> Option<String> {
        self.lock().open.remove(&id_key(id, &(0..id.len()))).map(|(_, id)| id)
    }

    /// All that are left, as they were written, in the order in which they came.
    pub(super) fn take(&self) -> Vec<String> {
        let mut left: Vec<_> = std::mem::take(&mut self.lock().open).into_values().collect();
        left.sort_unstable();
        left.into_iter().map(|(_, id)| id).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::read;
    use super::*;

    #[test]
    fn what_was_asked_and_not_answered_or_cancelled_is_left() {
        let open = Open::default();
        let down = |text: &str| open.asked(text, &read(text, false).unwrap().messages);
        let up = |text: &str| open.answered(text, &read(text, false).unwrap().messages);
        for id in ["1", "2", "\"a\\u0062\"", "\"1\"", "4"] {
            down(&format!("{{\"id\":{id},\"method\":\"m\"}}"));
        }
        down(r#"{"method":"notifications/cancelled","params":{"requestId":4}}"#);
        down(r#"{"id":9,"result":{}}"#);
        up(r#"{"id":2,"method":"sampling/createMessage"}"#);
        up(r#"{"id":"ab","error":{}}"#);
        up(r#"[{"id":1,"result":{}}]"#);
        down(r#"{"id":"\u0063","method":"m"}"#);
        assert_eq!(open.close("\"c\"").as_deref(), Some(r#""\u0063""#), "in the agent's own writing");
        assert_eq!(open.close("\"c\""), None);
        assert_eq!(open.take(), ["2", "\"1\""]);
        assert!(open.take().is_empty());
    }
}
