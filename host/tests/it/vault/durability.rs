//! What was acknowledged is on the disk: processes killed at any moment, full disks, damaged pages, locked files (T48).

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};

use super::Home;
use credentials_broker::config;
use credentials_broker::vault::{self, Stored};

/// How many processes are killed.
const KILLS: usize = 240;
/// How many of them write at once.
const AT_ONCE: usize = 4;
/// How many names each writes to.
const NAMES: usize = 12;

/// What a killed process said, and what it was asked last: a write whose answer did not come may be there or not.
#[derive(Default)]
struct Told {
    acknowledged: BTreeMap<String, Option<String>>,
    asked: BTreeMap<String, Vec<Option<String>>>,
    /// How many writes were acknowledged.
    count: usize,
}

/// A broker that is asked to write without a pause, until it is killed.
struct Writer {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    input: std::process::ChildStdin,
}

impl Writer {
    fn start(home: &Home) -> Self {
        let mut command = home.command(&[]);
        let command = command.as_std_mut().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (output, input) = (BufReader::new(child.stdout.take().unwrap()), child.stdin.take().unwrap());
        let mut writer = Self { child, output, input };
        let client =
            json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "lab", "version": "1" } });
        writer.send(&json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": client }));
        assert!(writer.answer().is_some(), "it answers initialize");
        writer.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        writer
    }

    fn send(&mut self, message: &Value) {
        // It may be killed already.
        let _ = self.input.write_all(format!("{message}\n").as_bytes());
    }

    fn answer(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }

    /// Writes until `after` is over, then dies in the middle of it.
    fn write_and_die(mut self, who: usize, round: usize, after: Duration) -> Told {
        let mut told = Told::default();
        let id = self.child.id();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(after);
            // By its number: the handle waits for answers. -9 gives it no time for anything.
            std::process::Command::new("sh").args(["-c", &format!("kill -9 {id}")]).status().unwrap();
        });
        for number in 1.. {
            let name = format!("p{who}-{}", number % NAMES);
            let value = (number % 5 != 0).then(|| format!("round {round} number {number} {}", "x".repeat(number % 700)));
            let call = match &value {
                Some(value) => json!({ "name": "store_secret", "arguments": { "name": name, "value": value } }),
                None => json!({ "name": "delete_secret", "arguments": { "name": name } }),
            };
            told.asked.entry(name.clone()).or_default().push(value.clone());
            self.send(&json!({ "jsonrpc": "2.0", "id": number, "method": "tools/call", "params": call }));
            let Some(answer) = self.answer() else { break };
            let answer = &answer["result"]["structuredContent"];
            let unknown = value.is_none() && answer["code"] == "unknown_secret";
            assert!(answer["success"] == true || unknown, "{answer}");
            told.asked.remove(&name);
            told.count += 1;
            told.acknowledged.insert(name, value);
        }
        killer.join().unwrap();
        self.child.wait().unwrap();
        told
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t48_hundreds_of_killed_processes_lose_nothing_acknowledged_and_damage_nothing() {
    let home = Home::with_vault().await;
    let (mut known, mut acknowledged) = (BTreeMap::<String, Option<String>>::new(), 0);
    for round in 0..KILLS / AT_ONCE {
        let told: Vec<Told> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..AT_ONCE)
                .map(|who| {
                    let home = &home;
                    scope.spawn(move || {
                        // Spread over every phase of a write, the first opening of the vault included.
                        let after = Duration::from_micros(((round * AT_ONCE + who) as u64 * 7919) % 400_000);
                        Writer::start(home).write_and_die(who, round, after)
                    })
                })
                .collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        let there = contents(&home.vault(), &home.path("vault.key"));
        for told in told {
            acknowledged += told.count;
            known.extend(told.acknowledged);
            for (name, asked) in told.asked {
                // Its answer did not come: either is right, and that is what is known from now on.
                let found = there.get(&name).cloned();
                if asked.contains(&found) {
                    known.insert(name, found);
                }
            }
        }
        for (name, value) in &known {
            assert_eq!(there.get(name), value.as_ref(), "{name} in round {round}");
        }
    }
    assert!(acknowledged > KILLS, "only {acknowledged} writes were acknowledged: nothing was shown");
}

/// Everything in the vault, each record held against the ledger, and SQLite's own check of every page.
fn contents(file: &Path, key: &Path) -> BTreeMap<String, String> {
    let config = config::Vault { path: Some(file.to_owned()), key_file: Some(key.to_owned()), key_command: None };
    let vault = vault::open(&config).unwrap();
    let all = vault.list().unwrap().into_iter().map(|(name, record)| match record.stored {
        Stored::Static(value) => (name.to_string(), value.expose().to_owned()),
        Stored::Grant(_) => panic!("no login was stored"),
    });
    let all = all.collect();
    let sound: String = Connection::open(file).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    all
}

#[tokio::test]
async fn a_locked_database_is_busy_and_works_again_afterwards() {
    let home = Home::with_vault().await;
    let mut broker = home.launch().ready().await;
    broker.call("store_secret", json!({ "name": "k", "value": "first" })).await.ok();
    let other = Connection::open(home.vault()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    broker.call("store_secret", json!({ "name": "k", "value": "second" })).await.refused("vault_busy");
    assert_eq!(broker.reveal("k").await, "first", "reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    broker.call("store_secret", json!({ "name": "k", "value": "third" })).await.ok();
    assert_eq!(broker.reveal("k").await, "third");
}

#[tokio::test]
async fn a_damaged_page_is_said_to_be_one_and_nothing_is_overwritten() {
    let home = Home::with_vault().await;
    let mut broker = home.launch().ready().await;
    for number in 0..60 {
        let value = format!("{number} {}", "x".repeat(900));
        broker.call("store_secret", json!({ "name": format!("k{number}"), "value": value })).await.ok();
    }
    broker.finish().await;
    let whole = std::fs::read(home.vault()).unwrap();
    let page = 4096;
    let mut codes = BTreeMap::<String, usize>::new();
    for number in 1..whole.len() / page {
        let mut damaged = whole.clone();
        damaged[number * page..number * page + page].fill(0x5a);
        std::fs::write(home.vault(), &damaged).unwrap();
        let mut broker = home.launch().ready().await;
        let answer = broker.call("list_secrets", json!({})).await;
        // A page that nothing is on may be damaged without harm.
        if answer.is_error {
            let code = answer["code"].as_str().unwrap().to_owned();
            assert!(matches!(code.as_str(), "vault_damaged" | "vault_tampered"), "{:#}", answer.json);
            broker.call("store_secret", json!({ "name": "k1", "value": "x" })).await;
            *codes.entry(code).or_default() += 1;
        }
        broker.finish().await;
        if number > 12 {
            break;
        }
    }
    assert!(codes.get("vault_damaged").is_some_and(|count| *count >= 3), "{codes:?}");
    let mut header = whole.clone();
    header[..100].fill(0);
    std::fs::write(home.vault(), &header).unwrap();
    home.run(&["vault", "status"]).await.failed(6, &["damaged"]);
    assert_eq!(std::fs::read(home.vault()).unwrap(), header);
    std::fs::write(home.vault(), &whole).unwrap();
    let mut broker = home.launch().ready().await;
    assert!(broker.reveal("k59").await.starts_with("59 "));
}

/// A disk of a few hundred KiB. Only root can have one; elsewhere the unit test with SQLite's page limit shows the same.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=384k,mode=0700", "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(std::process::Command::new("umount").arg(self.0.path()).status());
    }
}

#[tokio::test]
async fn a_full_disk_is_said_to_be_one_and_what_was_acknowledged_stays() {
    let home = Home::new();
    let Some(disk) = SmallDisk::new() else {
        assert!(!rustix::process::geteuid().is_root(), "root can mount a small disk");
        return;
    };
    let vault = disk.0.path().join("vault.db").display().to_string();
    let key = home.path("vault.key").display().to_string();
    home.run(&["vault", "init", "--vault", &vault, "--key-file", &key]).await.ok();
    let mut broker = home.launch().argument("--vault").argument(&vault).ready().await;
    let begun = Instant::now();
    let mut stored = 0;
    let failure = loop {
        let value = format!("{stored} {}", "x".repeat(20_000));
        let answer = broker.call("store_secret", json!({ "name": format!("k{stored}"), "value": value })).await;
        if answer.is_error {
            break answer;
        }
        stored += 1;
        assert!(begun.elapsed() < Duration::from_secs(80), "{stored} secrets of 20 KB fit on a disk of 384 KiB");
    };
    failure.refused("vault_unwritable").names(&["full", "space"]);
    assert!(stored > 0);
    for number in 0..stored {
        assert!(broker.reveal(&format!("k{number}")).await.starts_with(&format!("{number} ")));
    }
    broker.finish().await;
    let there = contents(Path::new(&vault), Path::new(&key));
    assert_eq!(there.len(), stored);
}
