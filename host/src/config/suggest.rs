//! "Did you mean": for words that a person typed and that are nearly one of a list.

/// The candidate that `word` is probably a misspelling of.
#[must_use]
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["allow_loopback", "allow_private", "proxy"];
        assert_eq!(suggest("allow_lopback", known), Some("allow_loopback"));
        assert_eq!(suggest("porxy", known), Some("proxy"));
        assert_eq!(suggest("timeout", known), None);
        assert_eq!(suggest("x", known), None);
    }
}
