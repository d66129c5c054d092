//! The house is as host/src/lib.rs and docs/architecture.md say: arrows go down only, and each room keeps to itself what
//! is its own. Read from the sources, since no compiler checks it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::support::place;

/// What each room may name of the others. What is not here, it may not.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &[
            "audit",
            "author",
            "broker",
            "browser",
            "callback",
            "config",
            "descriptor",
            "egress",
            "error",
            "mcp",
            "process",
            "providers",
            "redaction",
            "rehearsal",
            "sandbox",
            "secret",
            "telemetry",
            "vault",
            "wrap",
        ],
    ),
    // what a rehearsal is made of: a broker as an operator would configure it, and the other side
    (
        "author",
        &["audit", "broker", "config", "descriptor", "egress", "error", "providers", "rehearsal", "sandbox", "secret", "vault"],
    ),
    // the rules are the broker's, the child is a process, the values are taken out by redaction
    ("wrap", &["broker", "config", "error", "process", "redaction", "secret", "telemetry"]),
    ("process", &["error", "redaction", "secret"]),
    // what it shows of a record, it reads from the record's types
    ("mcp", &["broker", "error", "pipe", "secret", "vault"]),
    (
        "broker",
        &[
            "audit",
            "browser",
            "callback",
            "config",
            "descriptor",
            "egress",
            "error",
            "providers",
            "redaction",
            "sandbox",
            "secret",
            "vault",
        ],
    ),
    ("redaction", &["secret"]),
    ("providers", &["config", "descriptor", "error", "sandbox", "secret"]),
    ("sandbox", &["descriptor", "egress", "error", "secret"]),
    // the table that a stage plays is made of the descriptor's roles
    ("rehearsal", &["descriptor", "error", "secret"]),
    ("callback", &["error", "secret"]),
    // the operator's file says where it is and what opens it
    ("vault", &["config", "descriptor", "error", "secret"]),
    ("egress", &["config", "error"]),
    ("browser", &["error"]),
    // its lines are proven by a key that a vault keeps, and its end is remembered there
    ("audit", &["error", "pipe", "telemetry", "vault"]),
    ("telemetry", &["error", "pipe"]),
    ("pipe", &[]),
    ("config", &["error", "secret"]),
    ("descriptor", &["error", "secret"]),
    ("secret", &["error"]),
    ("error", &[]),
];

/// Words that only these rooms may have in their code.
const OWNED: &[(&str, &[&str])] = &[
    ("wasmtime", &["sandbox"]),
    // whose lines telemetry leaves out
    ("rmcp", &["mcp", "telemetry"]),
    ("reqwest", &["egress"]),
    ("Carrier for", &["egress"]),
    ("TcpStream::connect", &["egress"]),
    ("UnixStream::connect", &["egress"]),
    ("TcpSocket", &["egress"]),
    ("UdpSocket", &["egress"]),
    ("lookup_host", &["egress"]),
    ("to_socket_addrs", &["egress"]),
    ("TcpListener", &["callback", "rehearsal"]),
    ("webbrowser", &["browser"]),
    ("rusqlite", &["vault"]),
    ("sqlx", &["vault"]),
    // config runs the operator's own commands; process starts programs with secrets; sandbox starts this program as a compiler
    ("std::process::Command", &["config", "process", "sandbox"]),
    ("tokio::process", &["process"]),
    ("keyring_core", &["vault"]),
    ("linux_keyutils", &["vault"]),
    ("chacha20poly1305", &["vault"]),
    // the word itself is in messages, too
    ("use age", &["vault"]),
    ("age::x25519", &["vault"]),
    ("age::scrypt", &["vault"]),
    ("rpassword", &["cli"]),
    ("clap", &["cli"]),
    ("set_var", &[]),
];

/// Opens a secret.
const EXPOSES: &str = ".expose()";

struct Source {
    room: String,
    file: PathBuf,
    /// The code without comments and without tests.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = place::repository("host/src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let sources = files.into_iter().map(|file| {
        let below = file.strip_prefix(&root).unwrap();
        let first = below.components().next().unwrap();
        let room = Path::new(first.as_os_str()).file_stem().unwrap().to_string_lossy().into_owned();
        Source { room, code: code_of(&std::fs::read_to_string(&file).unwrap()), file: below.to_owned() }
    });
    sources.filter(|source| source.room != "lib").collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let tests = path.file_stem().is_some_and(|name| name == "tests");
        match path.is_dir() {
            true if !tests => collect(&path, files),
            false if !tests && path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
            _ => {}
        }
    }
}

fn code_of(text: &str) -> String {
    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    product.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// Whether the word stands there as a word.
fn names(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        !code[..at].chars().next_back().is_some_and(part) && !code[at + word.len()..].chars().next().is_some_and(part)
    })
}

/// The rooms that the code reaches by `crate::` or by the crate's own name.
fn reached(code: &str) -> BTreeSet<String> {
    let flat: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rooms = BTreeSet::new();
    for start in ["crate::", "credentials_broker::"] {
        for (at, _) in flat.match_indices(start) {
            let rest = &flat[at + start.len()..];
            match rest.strip_prefix('{') {
                // the outermost names of a group
                Some(group) => {
                    let mut depth = 0;
                    let mut name = String::new();
                    for c in group.chars() {
                        match c {
                            '{' => depth += 1,
                            '}' if depth == 0 => break,
                            '}' => depth -= 1,
                            ',' if depth == 0 => drop(rooms.insert(std::mem::take(&mut name))),
                            c if depth == 0 => name.push(c),
                            _ => {}
                        }
                    }
                    rooms.insert(name);
                }
                None => drop(rooms.insert(rest.to_owned())),
            }
        }
    }
    let first = |path: String| path.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    rooms.into_iter().map(first).filter(|room| !room.is_empty()).collect()
}

#[test]
fn arrows_go_down_only() {
    let may: BTreeMap<&str, &[&str]> = MAY_NAME.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in sources() {
        let allowed =
            may.get(source.room.as_str()).unwrap_or_else(|| panic!("{} is in no room of the map", source.file.display()));
        let beyond = reached(&source.code).into_iter().filter(|room| may.contains_key(room.as_str()) && *room != source.room);
        for room in beyond.filter(|room| !allowed.contains(&room.as_str())) {
            wrong.push(format!("{} names {room}", source.file.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_map_has_no_way_round_in_a_circle() {
    let may: BTreeMap<&str, &[&str]> = MAY_NAME.iter().copied().collect();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    while done.len() < may.len() {
        let next = may.iter().find(|(room, below)| !done.contains(*room) && below.iter().all(|room| done.contains(room)));
        let (room, _) = next.unwrap_or_else(|| {
            panic!("these are in a circle: {:?}", may.keys().filter(|r| !done.contains(*r)).collect::<Vec<_>>())
        });
        done.insert(room);
    }
}

#[test]
fn what_belongs_to_one_room_is_named_in_no_other() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (word, rooms) in OWNED {
            if names(&source.code, word) && !rooms.contains(&source.room.as_str()) {
                wrong.push(format!("{} names {word}", source.file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_faces_open_no_secret_but_what_they_hand_over() {
    let opened: BTreeSet<_> = sources()
        .into_iter()
        .filter(|source| matches!(source.room.as_str(), "mcp" | "cli" | "providers" | "audit" | "telemetry"))
        .filter(|source| source.code.contains(EXPOSES))
        .map(|source| source.file.display().to_string())
        .collect();
    // resolve_secret and mint_token hand a value to the agent; the demo is its own operator; two commands print one for a program
    let may = ["cli/demo.rs", "cli/git_credential.rs", "cli/token_command.rs", "mcp/secrets.rs", "mcp/tokens.rs"];
    assert_eq!(opened, may.map(str::to_owned).into());
}

#[test]
fn the_scan_sees_what_it_looks_for() {
    let code = code_of(
        "use crate::{\n    audit::Audit,\n    vault::{self, Record},\n}; // crate::mcp\nuse crate::error::Error;\n#[cfg(test)]\nmod tests {\n use crate::cli;\n}",
    );
    assert_eq!(reached(&code), BTreeSet::from(["audit".to_owned(), "vault".to_owned(), "error".to_owned()]));
    assert!(names("use wasmtime::Engine;", "wasmtime") && !names("my_wasmtime2", "wasmtime"));
    let rooms: BTreeSet<String> = sources().into_iter().map(|source| source.room).collect();
    assert_eq!(rooms, MAY_NAME.iter().map(|(room, _)| (*room).to_owned()).collect());
}

/// What they say of themselves is held against the lock in host/tests/plugins.rs, which runs them.
#[test]
fn embedded_components_are_the_files_that_the_lock_names() {
    use credentials_broker::descriptor::Descriptor;
    use credentials_broker::providers::embedded;

    let lock = std::fs::read_to_string(place::repository("plugins/plugins.lock")).unwrap();
    let lock: embedded::Lock = toml::from_str(&lock).unwrap();
    assert_eq!(lock.plugins.len(), embedded::all().len());
    for component in embedded::all() {
        let name = &component.descriptor.name;
        let locked = &lock.plugins[name];
        let digest: String = Sha256::digest(component.component).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, locked.sha256, "{name}: run `cargo xtask plugins`");
        assert_eq!(component.component.len() as u64, locked.bytes, "{name}");
        assert_eq!(&Descriptor::parse(&locked.descriptor).unwrap(), component.descriptor.as_ref(), "{name}");
        let file = std::fs::read(place::repository(&format!("plugins/{name}.wasm"))).unwrap();
        assert!(file == component.component, "{name} is embedded as it lies in plugins/");
    }
}
