use std::io::Write;
use std::sync::mpsc;
use std::time::Instant;

use super::*;

/// A writer that remembers each piece.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Vec<Vec<u8>>>>);

impl Memory {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().concat()).unwrap()
    }

    fn pieces(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Write for Memory {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(text.to_owned());
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe that nobody reads, until the test lets go of the other end.
struct Stuck(mpsc::Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for Memory {}
impl Output for Stuck {}

/// Takes so much at once.
struct Free(Memory, usize);

impl Write for Free {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for Free {
    fn write_now(&mut self, text: &[u8]) -> usize {
        self.0.write(&text[..text.len().min(self.1)]).unwrap()
    }
}

#[test]
fn lines_come_out_whole_and_in_order() {
    let memory = Memory::default();
    let lines = Lines::to(memory.clone());
    for number in 0..100 {
        assert!(lines.push(&format!("line {number}")));
    }
    assert!(lines.flush(Duration::from_secs(5)));
    let expected: String = (0..100).map(|number| format!("line {number}\n")).collect();
    assert_eq!(memory.text(), expected);
}

#[test]
fn who_writes_is_not_held_up_when_nobody_reads() {
    let (reader, unread) = mpsc::channel();
    let lines = Lines::to(Stuck(unread));
    let begun = Instant::now();
    let fitted = (0..10_000).filter(|_| lines.push(&"x".repeat(99))).count();
    assert!((1000..10_000).contains(&fitted), "bounded, not endless: {fitted}");
    assert!(!lines.flush(Duration::from_millis(50)));
    assert!(begun.elapsed() < Duration::from_secs(30), "it blocked");
    drop(reader);
    assert!(lines.flush(Duration::from_secs(5)), "it goes on as soon as somebody reads");
    assert!(lines.push("again"));
}

#[test]
fn a_closed_standard_error_is_no_reason_to_wait() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Output for Closed {}
    let lines = Lines::to(Closed);
    let _ = lines.push("one");
    let _ = lines.push("two");
    assert!(lines.flush(Duration::from_secs(5)));
    assert!(!lines.push("three"));
}

#[test]
fn what_is_held_is_written_by_who_settles_it_if_that_waits_for_nobody() {
    let memory = Memory::default();
    let lines = Lines::to(Free(memory.clone(), SOME));
    lines.hold();
    for number in 0..1000 {
        assert!(lines.push(&format!("line {number} {}", "x".repeat(100))));
    }
    assert_eq!(memory.text(), "");
    lines.settle();
    let expected: String = (0..1000).map(|number| format!("line {number} {}\n", "x".repeat(100))).collect();
    assert_eq!(memory.text(), expected, "written when it returns");
    assert!(!lines.0.queue().started, "and no thread was needed");

    for takes in [0, 7] {
        let memory = Memory::default();
        let lines = Lines::to(Free(memory.clone(), takes));
        lines.hold();
        assert!(lines.push("waits, or its second half does: é"));
        lines.settle();
        assert!(lines.flush(Duration::from_secs(5)));
        assert_eq!(memory.text(), "waits, or its second half does: é\n");
    }
}

#[test]
fn what_is_not_enough_comes_together_and_is_written_soon() {
    let memory = Memory::default();
    let lines = Lines::to(Free(memory.clone(), SOME));
    lines.alone();
    let numbers = || (0..100).map(|number| number.to_string());
    for number in numbers() {
        lines.hold();
        assert!(lines.push(&number));
        lines.settle();
    }
    let expected: String = numbers().map(|number| number + "\n").collect();
    let begun = Instant::now();
    while memory.text() != expected {
        assert!(begun.elapsed() < Duration::from_secs(5), "nobody writes {:?}", memory.text());
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(memory.pieces() < 50, "each by itself: {}", memory.pieces());

    // What nobody holds back takes with it what was.
    lines.hold();
    assert!(lines.push("a call"));
    lines.settle();
    assert!(lines.push("a warning"));
    assert!(lines.flush(Duration::from_secs(5)));
    assert!(memory.text().ends_with("99\na call\na warning\n"), "{}", memory.text());
}

#[test]
fn the_thread_takes_nothing_while_somebody_else_writes() {
    /// Takes nothing before it is allowed to.
    struct Waiting(Memory, mpsc::Receiver<()>);
    impl Write for Waiting {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.write(text)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Output for Waiting {
        fn write_now(&mut self, text: &[u8]) -> usize {
            let _ = self.1.recv_timeout(Duration::from_secs(1));
            self.0.write(text).unwrap()
        }
    }

    let memory = Memory::default();
    let (go_on, allowed) = mpsc::channel();
    let lines = Lines::to(Waiting(memory.clone(), allowed));
    lines.alone();
    lines.hold();
    assert!(lines.push("of a call"));
    lines.settle();
    std::thread::scope(|threads| {
        threads.spawn(|| lines.push("a warning"));
        while !lines.0.queue().writing && memory.text().is_empty() {
            std::thread::yield_now();
        }
        assert!(lines.push("another"));
        std::thread::sleep(10 * GATHER);
        let queue = lines.0.queue();
        assert!(!queue.writing || queue.waiting.len() == 1, "the thread took what comes after");
        drop(queue);
        let _ = go_on.send(());
        let _ = go_on.send(());
    });
    assert!(lines.flush(Duration::from_secs(5)));
    assert_eq!(memory.text(), "of a call\na warning\nanother\n");
}

#[test]
fn a_long_line_is_cut_between_characters() {
    let line = one_line(&"ä".repeat(LONGEST));
    assert!(line.len() < 4096 && line.ends_with("ä…\n"), "{}", line.len());
    assert_eq!(one_line("a\nb\u{7}c"), "a b c\n");
    assert_eq!(one_line(""), "\n");
}
