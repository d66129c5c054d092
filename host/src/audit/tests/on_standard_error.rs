//! The lines on standard error.

use std::io::Write;
use std::sync::{Condvar, Mutex};

use serde_json::Value;

use crate::audit::*;
use crate::error::Code;
use crate::telemetry::Memory;

fn parsed(memory: &Memory) -> Vec<Value> {
    memory.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// More patient than [`Audit::flush`]: a busy machine is no failure.
fn finish(audit: &Audit) {
    assert!(audit.0.lines.flush(Duration::from_secs(10)));
}

#[test]
fn an_entry_is_one_json_line_with_what_applies_and_nothing_else() {
    let memory = Memory::default();
    let audit = Audit::to(memory.clone());
    audit.name_client("claude-code", "2.1");
    audit.record(Event {
        event: "get_secret",
        secret: Some("github-token"),
        reference: Some("cac1a1a4-7c64-4718-b403-0978e931cd5d"),
        provider: Some("github"),
        purpose: Some("clone the repository"),
        ..Event::default()
    });
    finish(&audit);
    let mut line = parsed(&memory).remove(0);
    let time = line.as_object_mut().unwrap().remove("time").unwrap();
    assert!(humantime::parse_rfc3339(time.as_str().unwrap()).is_ok(), "{time}");
    assert_eq!(line.as_object_mut().unwrap().remove("pid").unwrap(), std::process::id());
    assert_eq!(
        line,
        serde_json::json!({
            "event": "get_secret", "outcome": "ok", "secret": "github-token", "reference": "928c3064af8b",
            "provider": "github", "purpose": "clone the repository", "by": "agent", "client": "claude-code 2.1",
        })
    );
}

#[test]
fn no_client_can_call_itself_a_command() {
    let who = |name: fn(&Audit)| {
        let memory = Memory::default();
        let audit = Audit::to(memory.clone());
        name(&audit);
        audit.record(Event { event: "delete_secret", ..Event::default() });
        finish(&audit);
        let line = parsed(&memory).remove(0);
        (line["by"].clone(), line["client"].clone())
    };
    let command = who(|audit| audit.name_command("secrets"));
    let agent = who(|audit| audit.name_client("mcp-credentials-broker secrets", env!("CARGO_PKG_VERSION")));
    assert_eq!((&command.0, &agent.0), (&"command".into(), &"agent".into()));
    assert_eq!(command.1, agent.1, "the name alone tells nothing");
}

#[test]
fn the_id_of_a_reference_is_not_written() {
    let memory = Memory::default();
    let audit = Audit::to(memory.clone());
    let id = "cac1a1a4-7c64-4718-b403-0978e931cd5d";
    audit.record(Event { event: "resolve_secret", reference: Some(id), ..Event::default() });
    finish(&audit);
    assert!(memory.text().contains(&digest(id)));
    assert!(!memory.text().contains("cac1a1a4"), "{}", memory.text());
}

#[test]
fn the_agents_text_is_bounded_and_stays_inside_its_line() {
    let memory = Memory::default();
    let audit = Audit::to(memory.clone());
    let purpose = format!("a\",\"outcome\":\"ok\"}}\n{{\u{202e}{}", "x".repeat(100_000));
    audit.name_client(&"n".repeat(100_000), &"v".repeat(100_000));
    audit.record(Event {
        event: "get_secret",
        outcome: Outcome::Refused,
        purpose: Some(&purpose),
        code: Some(Code::UnknownSecret),
        ..Event::default()
    });
    finish(&audit);
    let lines = parsed(&memory);
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["outcome"], &lines[0]["code"]), (&Value::from("refused"), &Value::from("unknown_secret")));
    assert!(memory.text().len() < 1500, "{}", memory.text().len());
    assert!(!memory.text().contains('\u{202e}'));
}

#[test]
fn the_longest_entry_is_still_whole() {
    for filler in ["\\", "\u{1f600}"] {
        let memory = Memory::default();
        let audit = Audit::to(memory.clone());
        let long = filler.repeat(5000);
        let some = Some(long.as_str());
        audit.name_client(&long, &long);
        audit.record(Event {
            event: "scopes_widened",
            outcome: Outcome::Failed,
            secret: some,
            reference: some,
            provider: some,
            purpose: some,
            flow: some,
            destination: some,
            process: some,
            uses: Some(u64::MAX),
            code: Some(Code::ComponentRejected),
        });
        finish(&audit);
        assert_eq!(parsed(&memory)[0]["outcome"], "failed", "{}", memory.text());
    }
}

#[test]
fn what_is_recorded_while_somebody_waits_is_written_when_it_is_settled_in_order_and_with_its_time() {
    let memory = Memory::default();
    let audit = Audit::to(memory.clone());
    audit.hold();
    for purpose in ["first", "second"] {
        audit.record(Event { event: "get_secret", purpose: Some(purpose), uses: Some(1), ..Event::default() });
    }
    assert_eq!(memory.text(), "");
    let before = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    std::thread::sleep(Duration::from_millis(20));
    audit.settle();
    audit.record(Event { event: "delete_secret", ..Event::default() });
    finish(&audit);
    let lines = parsed(&memory);
    assert_eq!(lines.iter().map(|line| &line["event"]).collect::<Vec<_>>(), ["get_secret", "get_secret", "delete_secret"]);
    assert_eq!((&lines[0]["purpose"], &lines[1]["purpose"], &lines[0]["uses"]), (&"first".into(), &"second".into(), &1.into()));
    assert!(lines[1]["time"].as_str().unwrap() <= before.as_str() && lines[2]["time"].as_str().unwrap() > before.as_str());

    // who ends the process waits for nobody to settle
    audit.hold();
    audit.record(Event { event: "list_secrets", ..Event::default() });
    audit.flush();
    finish(&audit);
    assert_eq!(parsed(&memory).len(), 4);
}

/// Keeps everybody waiting until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>, Memory);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

impl crate::pipe::Output for Gate {}

impl Write for Gate {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |open| !*open).unwrap());
        self.1.write(text)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_was_dropped_is_counted_in_the_next_line_that_fits() {
    let gate = Gate::default();
    let audit = Audit::to(gate.clone());
    for _ in 0..20_000 {
        audit.record(Event { event: "get_secret", ..Event::default() });
    }
    gate.open();
    finish(&audit);
    let fitted = parsed(&gate.1).len() as u64;
    assert!(fitted < 20_000);
    audit.record(Event { event: "last", ..Event::default() });
    audit.record(Event { event: "after", ..Event::default() });
    finish(&audit);
    let lines = parsed(&gate.1);
    assert_eq!(lines[lines.len() - 2]["dropped"], 20_000 - fitted);
    assert_eq!(lines[lines.len() - 1].get("dropped"), None);
}
