//! Redacts text that comes in chunks, wherever they are cut.

use zeroize::Zeroizing;

use super::{Cover, Redactor};

/// Text on its way through a redactor. It holds back what may be the beginning of a secret, at most 511 bytes, until the
/// next chunk tells.
pub struct Stream {
    redactor: Redactor,
    /// The end of the text so far.
    held: Zeroizing<Vec<u8>>,
    /// How much of that was replaced already, with the secret's number.
    covered: usize,
    last: Option<u32>,
}

impl Stream {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self { redactor, held: Zeroizing::default(), covered: 0, last: None }
    }

    /// Takes the next chunk and gives what can be told by now.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.step(chunk, true)
    }

    /// Goes on with what another redactor knows. What is held back stays so: the rest of it is still to come.
    pub fn learn(&mut self, redactor: Redactor) {
        if self.redactor.is_same(&redactor) {
            return;
        }
        self.redactor = redactor;
        self.last = None;
    }

    /// Gives what is held back. Afterwards the stream begins anew: also for a terminal that should not wait any longer.
    pub fn finish(&mut self) -> Vec<u8> {
        let rest = self.step(&[], false);
        self.last = None;
        rest
    }

    /// How many bytes are held back.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    fn step(&mut self, chunk: &[u8], more: bool) -> Vec<u8> {
        let mut joined = Zeroizing::new(Vec::new());
        let text = if self.held.is_empty() {
            chunk
        } else {
            joined.reserve_exact(self.held.len() + chunk.len());
            joined.extend_from_slice(&self.held);
            joined.extend_from_slice(chunk);
            &joined
        };
        let mut out = Cover { text: Vec::with_capacity(text.len()), done: self.covered, last: self.last };
        let end = self.redactor.0.index.scan(text, more, |found| out.found(&self.redactor, text, found));
        out.copy(text, end);
        self.held = Zeroizing::new(text[end..].to_vec());
        self.covered = out.done - end;
        self.last = out.last;
        out.text
    }
}

/// Not derived: what is held back may be part of a secret.
impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream({} bytes held back)", self.held.len())
    }
}
