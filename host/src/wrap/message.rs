//! What the wrapper has to know of a line: whose answer is awaited, and where `secret:NAME` stands in it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use super::json::{Broken, Piece, decode, walk};
use crate::config::doors::Step;

/// How an agent writes a secret: this, then its name.
pub(super) const MARK: &str = "secret:";

/// With more places than this a line is refused.
const MAX_FINDS: usize = 4096;
/// A path is not followed deeper than this.
const MAX_STEPS: usize = 64;

/// A line that is JSON.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Whether it is a list of messages (revision 2025-03-26).
    pub(super) batch: bool,
    /// The message, or those of the list.
    pub(super) messages: Vec<Message>,
    /// Where the mark stands.
    pub(super) finds: Vec<Find>,
    /// Whether it stands in more places than are listed.
    pub(super) too_many: bool,
}

/// What is known of a message.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Where its id stands, quotation marks included.
    pub(super) id: Option<Range<usize>>,
    /// Its method; none: it is an answer.
    pub(super) method: Option<String>,
    /// Of `tools/call`: the tool.
    pub(super) tool: Option<String>,
    /// Of `notifications/cancelled`: where the id of the request stands.
    pub(super) cancels: Option<Range<usize>>,
}

/// A place where the mark stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Find {
    /// The steps to it, from the message; the first ones, where it lies very deep.
    pub(super) path: Vec<Step>,
    /// Where its text stands, without quotation marks.
    pub(super) span: Range<usize>,
    /// What the text says.
    pub(super) text: String,
    /// Whether it is the name of a member.
    pub(super) is_key: bool,
}

/// An object or list that is open, and where in it we are.
enum Level {
    Object(Range<usize>),
    Array(Option<usize>),
}

/// Reads a line; `look` says whether the mark can be in it at all.
pub(super) fn read(text: &str, look: bool) -> Result<Line, Broken> {
    let mut reader = Reader { text, look, levels: Vec::new(), line: Line::default() };
    walk(text, |piece| reader.piece(&piece))?;
    Ok(reader.line)
}

/// The id of a message of which only the beginning is there, as it is written, and whether the message is a request.
pub(super) fn glance(start: &[u8]) -> Option<(String, bool)> {
    let sound = start.utf8_chunks().next()?.valid();
    let mut reader = Reader { text: sound, look: false, levels: Vec::new(), line: Line::default() };
    // It ends in the middle; what came before was seen.
    let _ = walk(sound, |piece| reader.piece(&piece));
    let message = reader.line.messages.first().filter(|_| !reader.line.batch)?;
    Some((sound.get(message.id.clone()?)?.to_owned(), message.method.is_some()))
}

struct Reader<'a> {
    text: &'a str,
    look: bool,
    levels: Vec<Level>,
    line: Line,
}

impl Reader<'_> {
    fn piece(&mut self, piece: &Piece) {
        match piece {
            Piece::CloseObject | Piece::CloseArray => drop(self.levels.pop()),
            Piece::Key(span) => {
                if let Some(Level::Object(key)) = self.levels.last_mut() {
                    *key = span.clone();
                }
                self.find(span, true);
            }
            Piece::OpenObject => {
                self.begin();
                if self.depth() == Some(0) {
                    self.line.messages.push(Message::default());
                }
                self.levels.push(Level::Object(0..0));
            }
            Piece::OpenArray => {
                self.begin();
                self.line.batch |= self.levels.is_empty();
                self.levels.push(Level::Array(None));
            }
            Piece::Text(span) => {
                self.begin();
                self.learn(span, span.start - 1..span.end + 1, true);
                self.find(span, false);
            }
            Piece::Other(span) => {
                self.begin();
                self.learn(span, span.clone(), false);
            }
        }
    }

    /// A value begins.
    fn begin(&mut self) {
        if let Some(Level::Array(index)) = self.levels.last_mut() {
            *index = Some(index.map_or(0, |index| index + 1));
        }
    }

    /// How many steps below the message we are.
    fn depth(&self) -> Option<usize> {
        self.levels.len().checked_sub(usize::from(self.line.batch))
    }

    /// Notes what the envelope says.
    fn learn(&mut self, span: &Range<usize>, whole: Range<usize>, is_text: bool) {
        let steps = self.levels.get(usize::from(self.line.batch)..).unwrap_or_default();
        let key = |level: &Level| match level {
            Level::Object(key) => self.text.get(key.clone()).map(decode),
            Level::Array(_) => None,
        };
        let text = || self.text.get(span.clone()).map(|raw| decode(raw).into_owned());
        let (first, second) = match steps {
            [first] => (key(first), None),
            [first, second] => (key(first), key(second)),
            _ => return,
        };
        let Some(message) = self.line.messages.last_mut() else { return };
        match (first.as_deref(), second.as_deref()) {
            (Some("id"), None) => message.id = Some(whole),
            (Some("method"), None) if is_text => message.method = text(),
            (Some("params"), Some("name")) if is_text => message.tool = text(),
            (Some("params"), Some("requestId")) => message.cancels = Some(whole),
            _ => {}
        }
    }

    fn find(&mut self, span: &Range<usize>, is_key: bool) {
        if !self.look {
            return;
        }
        let Some(text) = self.text.get(span.clone()).map(decode).filter(|text| text.contains(MARK)) else { return };
        if self.line.finds.len() >= MAX_FINDS {
            self.line.too_many = true;
            return;
        }
        let path = self.levels.iter().skip(usize::from(self.line.batch)).take(MAX_STEPS).map(|level| match level {
            Level::Object(key) => Step::Member(self.text.get(key.clone()).map(decode).unwrap_or_default().into_owned()),
            Level::Array(index) => Step::Element(index.unwrap_or_default()),
        });
        let find = Find { path: path.collect(), span: span.clone(), text: text.into_owned(), is_key };
        self.line.finds.push(find);
    }
}

/// Whether two readers may see two different messages: an object has a member twice, or one that holds one of these
/// places, which are in order, has two that only their case tells apart. Go's encoding/json, for one, takes them for one.
pub(super) fn has_doubles(text: &str, places: &[Range<usize>]) -> bool {
    #[derive(Default)]
    struct Members<'a> {
        exact: HashSet<Cow<'a, str>>,
        folded: HashSet<String>,
        alike: bool,
        holds_a_place: bool,
    }
    let mut open: Vec<Members<'_>> = Vec::new();
    let mut doubled = false;
    let walked = walk(text, |piece| match piece {
        Piece::OpenObject => open.push(Members::default()),
        Piece::CloseObject => doubled |= open.pop().is_some_and(|members| members.alike && members.holds_a_place),
        Piece::Key(span) => {
            let key = text.get(span).map(decode).unwrap_or_default();
            if let Some(members) = open.last_mut() {
                members.alike |= !members.folded.insert(folded(&key));
                doubled |= !members.exact.insert(key);
            }
        }
        Piece::Text(span) if places.binary_search_by_key(&span.start, |place| place.start).is_ok() => {
            open.iter_mut().for_each(|members| members.holds_a_place = true);
        }
        _ => {}
    });
    doubled || walked.is_err()
}

/// The same for whatever a reader without case takes for the same: also for the long s and the sign for kelvin.
fn folded(key: &str) -> String {
    key.to_uppercase().to_lowercase()
}

/// An id as a key: the same for every way to write it, a number and a text apart.
pub(super) fn id_key(text: &str, id: &Range<usize>) -> String {
    let raw = text.get(id.clone()).unwrap_or_default();
    decode(raw).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_read_in_any_order_and_writing() {
        let text = r#"{"params":{"arguments":{"id":9,"method":"x","name":"y"},"n\u0061me":"t","_meta":{"name":"z"}},"meth\u006fd":"tools\/call","id":"a\"b"}"#;
        let line = read(text, true).unwrap();
        let [message] = &line.messages[..] else { panic!("{line:?}") };
        assert_eq!((message.method.as_deref(), message.tool.as_deref()), (Some("tools/call"), Some("t")));
        assert_eq!(&text[message.id.clone().unwrap()], r#""a\"b""#);
        assert!(!line.batch && line.finds.is_empty());
        let cancelled = r#"{"method":"notifications/cancelled","params":{"requestId":7}}"#;
        let cancels = read(cancelled, false).unwrap().messages[0].cancels.clone();
        assert_eq!(&cancelled[cancels.unwrap()], "7");
    }

    #[test]
    fn a_list_has_a_message_for_each_object() {
        let text = r#"[{"id":1,"method":"a"},{"method":"b","params":[{"id":5}]},{"id":2,"result":{}}]"#;
        let line = read(text, false).unwrap();
        assert!(line.batch);
        let seen: Vec<_> = line.messages.iter().map(|m| (m.id.clone().map(|id| &text[id]), m.method.as_deref())).collect();
        assert_eq!(seen, [(Some("1"), Some("a")), (None, Some("b")), (Some("2"), None)]);
    }

    #[test]
    fn the_mark_is_found_wherever_it_stands_and_however_it_is_written() {
        let text = r#"{"a":[0,{"b":"secr\u0065t:x"}],"k secret:y":1,"c":["\u0073ecret:","Secret:z"]}"#;
        let finds = read(text, true).unwrap().finds;
        let key = |key: &str| Step::Member(key.to_owned());
        let seen: Vec<_> = finds.iter().map(|find| (find.path.clone(), find.text.as_str(), find.is_key)).collect();
        assert_eq!(
            seen,
            [
                (vec![key("a"), Step::Element(1), key("b")], "secret:x", false),
                (vec![key("k secret:y")], "k secret:y", true),
                (vec![key("c"), Step::Element(0)], "secret:", false),
            ]
        );
    }

    #[test]
    fn the_beginning_of_a_long_message_tells_its_id() {
        let glanced = |text: &str| glance(text.as_bytes());
        assert_eq!(glanced(r#"{"jsonrpc":"2.0","id":"a","method":"m","params":{"t":"xx"#), Some(("\"a\"".to_owned(), true)));
        assert_eq!(glanced(r#"{"jsonrpc":"2.0","id":7,"result":{"id":8,"t":"xx"#), Some(("7".to_owned(), false)));
        assert_eq!(glanced(r#"{"jsonrpc":"2.0","result":{"id":8,"t":"xx"#), None);
    }

    #[test]
    fn a_member_that_is_there_twice_is_seen() {
        assert!(has_doubles(r#"{"a":1,"b":{"c":1,"\u0063":2}}"#, &[]));
        assert!(!has_doubles(r#"{"a":{"a":1},"b":[{"a":1},{"a":1}]}"#, &[]));
    }

    #[test]
    fn a_member_that_a_reader_without_case_takes_for_another_is_one_on_the_way_to_a_place() {
        let doubled = |text: &str| {
            let places: Vec<_> = text.match_indices("HERE").map(|(at, found)| at..at + found.len()).collect();
            has_doubles(text, &places)
        };
        for text in [
            r#"{"params":{"a":"HERE"},"Params":1}"#,
            r#"{"paramS":1,"params":{"a":"HERE"}}"#,
            r#"{"param\u017f":1,"params":{"a":"HERE"}}"#,
            r#"{"a":{"token":"HERE","to\u212aen":1}}"#,
            r#"{"a":[{"b":"HERE","B":"HERE"}]}"#,
        ] {
            assert!(doubled(text), "{text}");
        }
        for text in [r#"{"a":"HERE","env":{"http_proxy":"x","HTTP_PROXY":"y"}}"#, r#"{"a":1,"A":2}"#, r#"{"a":"HERE","b":1}"#] {
            assert!(!doubled(text), "{text}");
        }
    }
}
