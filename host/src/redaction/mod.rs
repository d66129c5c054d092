//! Takes the values of secrets out of text that an agent, a terminal or a log will see.
//!
//! A server, a program or an error may send a credential back: as it is, or encoded. [`Redactor`] knows the exact values
//! of the secrets that are alive, in the encodings that programs use, and puts `[secret:NAME]` where it finds one,
//! across the borders of chunks too. What it finds it replaces before anybody cuts the text, so no half is left over.
//!
//! This is best effort and no border: whoever wants to carry a value past it can spell it backwards. The border is
//! where a secret may be sent at all. Values shorter than [`MIN`] bytes are not searched for: they would blank innocent
//! text.
//!
//! | part | what it is |
//! |---|---|
//! | `forms` | one value in every encoding |
//! | `index` | finds thousands of forms in one pass |
//! | `stream` | text that comes in chunks |
//! | `shapes` | the second line: what looks like a token, by its beginning |

mod forms;
mod index;
mod shapes;
mod stream;

use std::fmt;
use std::sync::Arc;

pub use shapes::Shapes;
pub use stream::Stream;

use crate::secret::{Secret, SecretName};
use index::{Found, Index};

/// The shortest value that is searched for, in bytes.
pub const MIN: usize = 8;
/// What is said of a shorter one that is stored.
pub const TOO_SHORT: &str = " It has fewer than 8 bytes, so it is not searched for in answers and output.";
const _: () = assert!(MIN == 8, "the text above says so");

/// Knows the live secrets and takes them out of text. Cheap to clone.
#[derive(Clone, Default)]
pub struct Redactor(Arc<Inner>);

#[derive(Default)]
struct Inner {
    index: Index,
    /// What stands in the place of each secret.
    places: Vec<Box<[u8]>>,
}

impl Redactor {
    /// A redactor of these values. A value that has two names is called by the first of them.
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a SecretName, &'a Secret)>) -> Self {
        let secrets: Vec<_> = secrets.into_iter().filter(|(_, secret)| secret.len() >= MIN).collect();
        let places = secrets.iter().map(|(name, _)| format!("[secret:{name}]").into_bytes().into_boxed_slice()).collect();
        Self(Arc::new(Inner { index: Index::new(forms::all(&secrets)), places }))
    }

    /// A whole text with every secret replaced.
    #[must_use]
    pub fn redact(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Cover::new(text.len());
        let end = self.0.index.scan(text, false, |found| out.found(self, text, found));
        out.copy(text, end);
        out.text
    }

    /// The beginning of a text whose rest was cut off. It ends so far before the cut that no half of a secret is shown, and
    /// always as far: how much is held back would tell an agent, guess by guess, how a secret begins.
    #[must_use]
    pub fn redact_beginning(&self, text: &[u8]) -> Vec<u8> {
        let end = text.len().saturating_sub(forms::PIECE - 1);
        let mut out = Cover::new(end);
        self.0.index.scan(text, false, |found| {
            if found.start < end {
                out.found(self, text, found);
            }
        });
        out.copy(text, end);
        out.text
    }

    /// [`Redactor::redact`] for a text, such as an error's or a log line.
    #[must_use]
    pub fn redact_text(&self, text: &str) -> String {
        String::from_utf8(self.redact(text.as_bytes())).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
    }

    /// Redacts text that comes in chunks.
    #[must_use]
    pub fn stream(&self) -> Stream {
        Stream::new(self.clone())
    }

    /// Whether it is that very one, and not only one that knows the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether it searches for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.places.is_empty()
    }
}

/// Not derived: it holds the values.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.0.places.len())
    }
}

/// Writes a text anew, with one replacement for each stretch that is covered by what was found. Secrets may overlap:
/// then all they cover goes, and no tail of one is left beside the other.
struct Cover {
    text: Vec<u8>,
    /// How much of the text is dealt with.
    done: usize,
    /// Which secret the text before `done` belonged to, if it was one.
    last: Option<u32>,
}

impl Cover {
    fn new(capacity: usize) -> Self {
        Self { text: Vec::with_capacity(capacity), done: 0, last: None }
    }

    /// Found in the order of their beginnings.
    fn found(&mut self, redactor: &Redactor, text: &[u8], found: Found) {
        self.copy(text, found.start);
        // A long value is found piece by piece, and one that overlaps goes on with the stretch.
        let goes_on = self.last.is_some_and(|last| found.start < self.done || last == found.owner);
        if !goes_on {
            self.text.extend_from_slice(redactor.0.places.get(found.owner as usize).map_or(&b"[secret]"[..], |place| place));
        }
        self.last = Some(found.owner);
        self.done = self.done.max(found.end);
    }

    fn copy(&mut self, text: &[u8], end: usize) {
        if let Some(plain) = text.get(self.done..end).filter(|plain| !plain.is_empty()) {
            self.text.extend_from_slice(plain);
            self.done = end;
            self.last = None;
        }
    }
}

#[cfg(test)]
mod tests;
