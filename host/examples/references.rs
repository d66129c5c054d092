//! What references take of memory and time as they become many, for `cargo xtask bench`, which reads the one line of JSON.
//! Each figure of memory is of a process of its own: what one gave back, another would not have to ask for.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for `cargo xtask bench`")]

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use credentials_broker::audit::Audit;
use credentials_broker::broker::Broker;
use credentials_broker::config::Config;
use credentials_broker::providers::Providers;
use credentials_broker::sandbox::Workshop;
use credentials_broker::secret::{Secret, SecretName};
use credentials_broker::vault::{Memory, Stored, Vault as _};

const MANY: usize = 100_000;
/// With those that warm up: there is room for a million.
const WARMING: usize = 100;
const MILLION: usize = 1_000_000 - WARMING;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("same") => println!("{}", bytes_each(MANY, |_| "list my repositories".to_owned())),
        Some("other") => println!("{}", bytes_each(MANY, |number| format!("look at issue number {number}"))),
        Some("million") => println!("{}", bytes_each(MILLION, |_| "list my repositories".to_owned())),
        _ => {
            let (first, last, longest) = times();
            println!(
                "{}",
                serde_json::json!({
                    "same_bytes": again("same"), "other_bytes": again("other"), "million_bytes": again("million"),
                    "first_ns": first, "last_ns": last, "longest_us": longest,
                })
            );
        }
    }
}

/// Another process of this program, for one figure.
fn again(what: &str) -> f64 {
    let output = Command::new(std::env::current_exe().unwrap()).arg(what).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

fn broker() -> Arc<Broker> {
    let (config, vault) = (Config::default(), Memory::default());
    for number in 0..10 {
        let name = SecretName::parse(&format!("service/account-{number}")).unwrap();
        vault.put(&name, Stored::Static(Secret::from("a value of usual length")), BTreeMap::new(), &mut |_| Ok(())).unwrap();
    }
    let providers = Providers::new(&config, &[], Workshop::here()).unwrap();
    Broker::new(&config, Arc::new(vault), providers, Audit::to(std::io::sink()), None).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn issue(broker: &Broker, number: usize, purpose: &str) {
    broker.get_secret(&format!("service/account-{}", number % 10), purpose, None).await.unwrap();
}

fn bytes_each(count: usize, purpose: impl Fn(usize) -> String) -> f64 {
    let broker = broker();
    runtime().block_on(async {
        for number in 0..WARMING {
            issue(&broker, number, "warming up").await;
        }
        let before = resident();
        for number in 0..count {
            issue(&broker, number, &purpose(number)).await;
        }
        (resident() - before) as f64 / count as f64
    })
}

/// How long one takes among the first and among the last of a million, in nanoseconds, and the longest of the last, in
/// microseconds.
fn times() -> (f64, f64, f64) {
    let broker = broker();
    runtime().block_on(async {
        let mut times = Vec::with_capacity(MILLION);
        for number in 0..MILLION {
            let begun = Instant::now();
            issue(&broker, number, "list my repositories").await;
            times.push(begun.elapsed().as_nanos() as f64);
        }
        // the first hundred thousand grow from nothing, as they do in any process
        let (first, last) = (times[..MANY].to_vec(), times[MILLION - MANY..].to_vec());
        (middle(first), middle(last.clone()), last.into_iter().fold(0.0, f64::max) / 1e3)
    })
}

fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Resident memory, in bytes (Linux).
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}
