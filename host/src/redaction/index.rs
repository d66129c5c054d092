//! Finds thousands of forms in one pass over a text.
//!
//! Every form has at least eight bytes. So it is enough to look at four bytes of the text in every five: each form that
//! stands there has those four among its first eight. A table of bits says whether any form has; where one may, the
//! sorted forms are searched. A text without secrets costs one lookup for five bytes, whatever the number of
//! forms, and a text made to cost more costs no more than a bounded comparison for each of its bytes.
//!
//! An Aho-Corasick automaton would do the same. With the forms of a thousand secrets it has half a million states, takes
//! a hundred times as long to build, and leaves the cache at every byte.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::MIN;
use super::forms::Form;

/// How many bytes the table of bits goes by.
const GRAM: usize = 4;
/// Of so many places in a text, one is looked at.
const STRIDE: usize = MIN - GRAM + 1;
/// Bits in the table for every gram that it knows: one in so many innocent places is looked at closer.
const SPARSE: usize = 32;

/// All forms, ready to be searched for.
#[derive(Default)]
pub(super) struct Index {
    /// In the order of their bytes, each once.
    forms: Vec<Entry>,
    /// The forms with these first bytes: from, to.
    heads: HashMap<[u8; MIN], (u32, u32)>,
    grams: Grams,
    longest: usize,
}

struct Entry {
    text: Zeroizing<Box<[u8]>>,
    owner: u32,
    /// The longest other form that this one begins with.
    within: Option<u32>,
}

/// A secret in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) owner: u32,
}

/// What stands at one place of a text.
enum Here {
    Nothing,
    /// The beginning of a form that the text ends within.
    Begins,
    Form {
        len: usize,
        owner: u32,
    },
}

impl Index {
    pub(super) fn new(forms: Vec<Form>) -> Self {
        let mut order = forms;
        order.sort_unstable_by(|a, b| a.text.cmp(&b.text).then(a.owner.cmp(&b.owner)));
        order.dedup_by(|a, b| a.text == b.text);
        let mut index = Self { grams: Grams::new(order.len() * STRIDE), ..Self::default() };
        let mut open: Vec<u32> = Vec::new();
        for (number, form) in (0..).zip(order) {
            let Some(head) = form.text.first_chunk::<MIN>() else { continue };
            head.windows(GRAM).filter_map(|gram| gram.first_chunk()).for_each(|gram| index.grams.add(*gram));
            index.heads.entry(*head).or_insert((number, number)).1 = number + 1;
            while open.last().is_some_and(|&outer| !form.text.starts_with(&index.forms[outer as usize].text)) {
                open.pop();
            }
            let within = open.last().copied();
            open.push(number);
            index.longest = index.longest.max(form.text.len());
            index.forms.push(Entry { text: form.text, owner: form.owner, within });
        }
        index
    }

    /// Tells of everything found, in the order of the beginnings, at each place the longest. With `more` to come it stops
    /// where a form may have begun that is not whole yet, and says where; else it comes to the end.
    pub(super) fn scan(&self, text: &[u8], more: bool, mut tell: impl FnMut(Found)) -> usize {
        if self.forms.is_empty() {
            return text.len();
        }
        // No form that begins before this can end outside the text.
        let sure = if more { text.len().saturating_sub(self.longest) } else { text.len() };
        let mut tell_at = |start: usize, here: &Here| {
            if let Here::Form { len, owner } = *here {
                tell(Found { start, end: start + len, owner });
            }
        };
        for (block, bytes) in text.get(STRIDE - 1..).unwrap_or_default().chunks(STRIDE).enumerate() {
            let first = block * STRIDE;
            if first >= sure {
                break;
            }
            if bytes.first_chunk().is_some_and(|gram| self.grams.has(*gram)) {
                for start in first..(first + STRIDE).min(sure) {
                    tell_at(start, &self.here(&text[start..], false));
                }
            }
        }
        for start in sure..text.len() {
            let here = self.here(&text[start..], true);
            if matches!(here, Here::Begins) {
                return start;
            }
            tell_at(start, &here);
        }
        text.len()
    }

    /// What stands at the beginning of the text.
    fn here(&self, text: &[u8], more: bool) -> Here {
        let text = &text[..text.len().min(self.longest)];
        let Some(head) = text.first_chunk::<MIN>() else {
            let after = self.forms.partition_point(|form| **form.text < *text);
            let begins = more && self.forms.get(after).is_some_and(|form| form.text.starts_with(text));
            return if begins { Here::Begins } else { Here::Nothing };
        };
        if head.first_chunk().is_none_or(|gram| !self.grams.has(*gram)) {
            return Here::Nothing;
        }
        let Some(&(from, to)) = self.heads.get(head) else { return Here::Nothing };
        let forms = &self.forms[from as usize..to as usize];
        let after = forms.partition_point(|form| **form.text <= *text);
        if more && forms.get(after).is_some_and(|form| form.text.starts_with(text)) {
            return Here::Begins;
        }
        // The last form that does not come after the text shares with it whatever form the text begins with.
        let Some(mut entry) = after.checked_sub(1).map(|last| &forms[last]) else { return Here::Nothing };
        if text.starts_with(&entry.text) {
            return Here::Form { len: entry.text.len(), owner: entry.owner };
        }
        let common = entry.text.iter().zip(text).take_while(|(a, b)| a == b).count();
        while entry.text.len() > common {
            match entry.within {
                Some(outer) => entry = &self.forms[outer as usize],
                None => return Here::Nothing,
            }
        }
        Here::Form { len: entry.text.len(), owner: entry.owner }
    }
}

/// A set of grams that may say yes where it should say no.
#[derive(Default)]
struct Grams {
    bits: Vec<u64>,
    shift: u32,
}

impl Grams {
    fn new(count: usize) -> Self {
        let bits = (count * SPARSE).next_power_of_two().clamp(64, 1 << 31);
        Self { bits: vec![0; bits / 64], shift: 32 - bits.trailing_zeros() }
    }

    fn add(&mut self, gram: [u8; GRAM]) {
        let (word, bit) = self.place(gram);
        self.bits[word] |= bit;
    }

    fn has(&self, gram: [u8; GRAM]) -> bool {
        let (word, bit) = self.place(gram);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn place(&self, gram: [u8; GRAM]) -> (usize, u64) {
        // Fibonacci hashing: the upper bits of the product are well mixed.
        let hash = u32::from_le_bytes(gram).wrapping_mul(0x9E37_79B1) >> self.shift;
        (hash as usize / 64, 1 << (hash % 64))
    }
}
