//! What many references have in common is kept once: a reference holds the number of its name, purpose and limits.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// The number of a value. There is no value of the number [`NONE`].
pub(super) type Number = u32;
pub(super) const NONE: Number = Number::MAX;

/// Values that are the same for many, with how many they are. A value goes with the last of them.
#[derive(Debug)]
pub(super) struct Shared<T: ?Sized> {
    numbers: HashMap<Arc<T>, Number>,
    values: Vec<Option<(Arc<T>, u32)>>,
    free: Vec<Number>,
}

impl<T: ?Sized> Default for Shared<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), values: Vec::new(), free: Vec::new() }
    }
}

impl<T: ?Sized + Eq + Hash> Shared<T> {
    /// One more has this value: its number, and whether it is the first.
    pub(super) fn add(&mut self, value: &Arc<T>) -> (Number, bool) {
        let known: Option<&Number> = self.numbers.get(<Arc<T> as Borrow<T>>::borrow(value));
        if let Some(&number) = known {
            if let Some((_, count)) = self.values.get_mut(number as usize).and_then(Option::as_mut) {
                *count += 1;
            }
            return (number, false);
        }
        let entry = Some((Arc::clone(value), 1));
        let number = match self.free.pop() {
            Some(number) => {
                self.values[number as usize] = entry;
                number
            }
            None => {
                self.values.push(entry);
                (self.values.len() - 1) as Number
            }
        };
        self.numbers.insert(Arc::clone(value), number);
        (number, true)
    }

    /// The value of that number.
    pub(super) fn get(&self, number: Number) -> Option<&Arc<T>> {
        Some(&self.values.get(number as usize)?.as_ref()?.0)
    }

    /// One less has it: the value itself, where that was the last.
    pub(super) fn remove(&mut self, number: Number) -> Option<Arc<T>> {
        let slot = self.values.get_mut(number as usize)?;
        let (_, count) = slot.as_mut()?;
        *count -= 1;
        if *count > 0 {
            return None;
        }
        let (value, _) = slot.take()?;
        self.numbers.remove(<Arc<T> as Borrow<T>>::borrow(&value));
        self.free.push(number);
        Some(value)
    }
}

#[cfg(test)]
impl<T: ?Sized> Shared<T> {
    /// What it has allocated beside the values, in bytes.
    pub(super) fn allocated(&self) -> usize {
        super::shard::table(self.numbers.capacity(), size_of::<(Arc<T>, Number)>())
            + self.values.capacity() * size_of::<Option<(Arc<T>, u32)>>()
            + self.free.capacity() * size_of::<Number>()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Arc<T>> {
        self.numbers.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_as_long_as_somebody_has_it() {
        let mut shared: Shared<str> = Shared::default();
        let text = |text: &str| -> Arc<str> { text.into() };
        assert_eq!(shared.add(&text("a")), (0, true));
        assert_eq!(shared.add(&text("b")), (1, true));
        assert_eq!(shared.add(&text("a")), (0, false), "the same text, wherever it lies");
        assert_eq!(shared.remove(0), None);
        assert_eq!(shared.remove(0).as_deref(), Some("a"));
        assert_eq!((shared.remove(0), shared.get(0), shared.get(NONE)), (None, None, None));
        assert_eq!(shared.add(&text("c")), (0, true), "its number is free again");
        assert_eq!(shared.get(1).map(|text| &**text), Some("b"));
    }
}
