//! What an agent sees of an answer, a part at a time. The rest of a long one is kept for a while, already redacted: asking
//! the server again could do a thing twice, and few servers give parts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};

/// How much of a text one answer shows, in bytes.
pub const SHOWN_TEXT: usize = 64 * 1024;
/// How much of anything else, in bytes before base64: about as many characters.
pub const SHOWN_BYTES: usize = 48 * 1024;
/// How long the rest is kept.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// How many answers are kept, and how much they may take together; the oldest go first.
const MAX_KEPT: usize = 16;
const MAX_KEPT_BYTES: usize = 32 << 20;

/// A body that has been redacted.
#[derive(Clone)]
pub struct Body {
    bytes: Arc<Zeroizing<Vec<u8>>>,
    is_text: bool,
}

/// A part of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What is shown.
    pub content: Content,
    /// Where it begins, in bytes.
    pub offset: usize,
    /// How many bytes the body has.
    pub total: usize,
    /// Where the next part begins, if there is more.
    pub next: Option<usize>,
}

/// A part as an agent sees it.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// As text.
    Text(String),
    /// In base64, since it is none.
    Base64(String),
}

impl Body {
    /// Takes a redacted body.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        let is_text = std::str::from_utf8(&bytes).is_ok() && !bytes.contains(&0);
        Self { bytes: Arc::new(Zeroizing::new(bytes)), is_text }
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The part that begins there; a text is cut between characters.
    ///
    /// # Errors
    /// `invalid_argument` where there is no such place.
    pub fn part(&self, offset: usize) -> Result<Part> {
        let total = self.bytes.len();
        let text = if self.is_text { std::str::from_utf8(&self.bytes).ok() } else { None };
        if offset > total || text.is_some_and(|text| !text.is_char_boundary(offset)) {
            return Err(Error::new(
                Code::InvalidArgument,
                format!("The answer has {total} bytes, and no part that begins at {offset}."),
                "Use the offset that the part before named as next_offset.",
            ));
        }
        let mut end = total.min(offset + if self.is_text { SHOWN_TEXT } else { SHOWN_BYTES });
        let content = match text {
            Some(text) => {
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                Content::Text(text[offset..end].to_owned())
            }
            None => Content::Base64(BASE64_STANDARD.encode(&self.bytes[offset..end])),
        };
        Ok(Part { content, offset, total, next: (end < total).then_some(end) })
    }
}

/// Not derived: a body is the agent's to read, and nobody's to log.
impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({} bytes)", self.bytes.len())
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text",
            Self::Base64(_) => "Base64",
        })
    }
}

/// Bodies of which only a part was shown.
#[derive(Debug, Default)]
pub struct Kept(VecDeque<(String, Instant, Body)>);

impl Kept {
    /// Keeps a body and gives its id.
    pub fn keep(&mut self, body: Body) -> String {
        let id = Uuid::new_v4().to_string();
        self.0.push_back((id.clone(), Instant::now(), body));
        self.sweep();
        id
    }

    /// The body of that id.
    ///
    /// # Errors
    /// `unknown_reference` where it is gone.
    pub fn get(&mut self, id: &str) -> Result<Body> {
        self.sweep();
        self.0.iter().find(|(known, ..)| known == id).map(|(.., body)| body.clone()).ok_or_else(|| {
            Error::new(
                Code::UnknownReference,
                "No answer is kept under that response_id.",
                "Answers are kept for ten minutes, 16 at most. Call http_request again, for less at a time where the API can.",
            )
        })
    }

    fn sweep(&mut self) {
        let bytes = |kept: &VecDeque<(String, Instant, Body)>| kept.iter().map(|(.., body)| body.bytes.len()).sum::<usize>();
        while self.0.front().is_some_and(|(_, since, _)| since.elapsed() > KEPT_FOR)
            || self.0.len() > MAX_KEPT
            || (self.0.len() > 1 && bytes(&self.0) > MAX_KEPT_BYTES)
        {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_text_are_the_text() {
        let text = "aä\u{1f600}".repeat(40_000);
        let body = Body::new(text.clone().into_bytes());
        let (mut read, mut at) = (String::new(), Some(0));
        while let Some(offset) = at {
            let part = body.part(offset).unwrap();
            let Content::Text(content) = part.content else { panic!("no text") };
            assert!(content.len() <= SHOWN_TEXT && part.total == text.len());
            read.push_str(&content);
            at = part.next;
        }
        assert!(read == text);
        assert!(body.part(2).is_err() && body.part(text.len() + 1).is_err());
        assert_eq!(body.part(text.len()).unwrap().content, Content::Text(String::new()));
    }

    #[test]
    fn what_is_no_text_is_shown_in_base64() {
        let bytes: Vec<u8> = (0..=255).cycle().take(SHOWN_BYTES + 10).collect();
        let body = Body::new(bytes.clone());
        let (first, second) = (body.part(0).unwrap(), body.part(SHOWN_BYTES).unwrap());
        assert_eq!((first.next, second.next), (Some(SHOWN_BYTES), None));
        assert_eq!(second.content, Content::Base64(BASE64_STANDARD.encode(&bytes[SHOWN_BYTES..])));
        assert_eq!(Body::new(b"a\0b".to_vec()).part(0).unwrap().content, Content::Base64("YQBi".to_owned()));
        assert_eq!(Body::new(Vec::new()).part(0).unwrap().content, Content::Text(String::new()));
    }

    #[test]
    fn the_oldest_go_first_and_the_newest_always_stays() {
        let mut kept = Kept::default();
        let first = kept.keep(Body::new(vec![1]));
        let ids: Vec<String> = (0..MAX_KEPT).map(|_| kept.keep(Body::new(vec![2]))).collect();
        assert_eq!(kept.get(&first).unwrap_err().code(), Code::UnknownReference);
        assert!(ids.iter().all(|id| kept.get(id).is_ok()));
        let huge = kept.keep(Body::new(vec![3; MAX_KEPT_BYTES + 1]));
        assert!(kept.get(&huge).is_ok() && kept.get(&ids[0]).is_err());
    }
}
