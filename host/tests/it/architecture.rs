//! The rules of the house, held against the source itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::place;

/// Which rooms a room may name. Arrows go down only.
const MAY_NAME: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "audit",
            "broker",
            "callback",
            "config",
            "descriptor",
            "egress",
            "error",
            "mcp",
            "providers",
            "rehearsal",
            "sandbox",
            "secret",
            "telemetry",
        ],
    ),
    // what it shows of a record, it reads from the record's types
    ("mcp", &["broker", "error", "secret", "vault"]),
    (
        "broker",
        &["audit", "browser", "callback", "config", "descriptor", "egress", "error", "providers", "sandbox", "secret", "vault"],
    ),
    ("callback", &["error", "secret"]),
    ("rehearsal", &["error", "secret"]),
    ("vault", &["descriptor", "error", "secret"]),
    ("providers", &["config", "descriptor", "error", "sandbox", "secret"]),
    ("sandbox", &["descriptor", "egress", "error", "secret"]),
    ("egress", &["config", "error", "secret"]),
    ("audit", &["error", "telemetry"]),
    ("telemetry", &["error"]),
    ("browser", &["error"]),
    ("descriptor", &["error", "secret"]),
    ("config", &["error", "secret"]),
    ("secret", &["error"]),
    ("error", &[]),
];

fn sources() -> Vec<(String, PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                walk(&entry, found);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                found.push(entry);
            }
        }
    }
    let root = place::repository("host/src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    let is_test = |path: &Path| path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")));
    files
        .into_iter()
        .filter(|path| !is_test(path))
        .map(|path| {
            let inside = path.strip_prefix(&root).unwrap();
            let room = inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
            // what stands in a test module is no arrow, and comments name freely
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
            let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            (room, path.clone(), code.join("\n"))
        })
        .collect()
}

#[test]
fn arrows_go_down_only() {
    let rooms: BTreeSet<&str> = MAY_NAME.iter().map(|(room, _)| *room).collect();
    for (room, path, code) in sources() {
        if room == "lib" || room == "main" {
            continue;
        }
        let allowed = MAY_NAME.iter().find(|(name, _)| *name == room).unwrap_or_else(|| panic!("{room} is no known room")).1;
        for (at, _) in code.match_indices("crate::") {
            let named: String = code[at + 7..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if rooms.contains(named.as_str()) && named != room {
                assert!(allowed.contains(&named.as_str()), "{} names {named}: {room} stands below or beside it", path.display());
            }
        }
    }
}

#[test]
fn only_the_sandbox_names_the_engine_and_only_egress_opens_connections() {
    for (room, path, code) in sources() {
        let free_of = |words: &[&str], owner: &str| {
            for word in words {
                assert!(room == owner || !code.contains(word), "{} names {word}, which is {owner}'s", path.display());
            }
        };
        free_of(&["wasmtime"], "sandbox");
        free_of(
            &["reqwest", "TcpStream::connect", "TcpSocket", "UdpSocket", "UnixStream::connect", "lookup_host", "to_socket_addrs"],
            "egress",
        );
        free_of(&["rmcp"], "mcp");
        assert!(!code.contains("rusqlite"), "{}", path.display());
    }
}
