//! One call over the contract, a fresh instance included, beside the same provider's logic called as a Rust function.
//!
//! `authorization` of the Google component: it asks the host for a setting and returns two pairs. It sends nothing, so
//! what is left is what the boundary costs. `cargo xtask bench` reads the one line of JSON.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for `cargo xtask bench`")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use credentials_broker::config;
use credentials_broker::descriptor::settings::Settings;
use credentials_broker::egress::Egress;
use credentials_broker::providers::embedded;
use credentials_broker::sandbox::{Context, Sandbox, Workshop};
use credentials_broker::secret::Secret;
use credentials_broker_provider::Provider as _;
use credentials_broker_provider::testing::Broker;

#[expect(unreachable_pub, reason = "the provider's own source, which is a crate elsewhere")]
#[path = "../../providers/google/src/lib.rs"]
mod google;

/// How often each is called in one batch, and how many batches there are. The middle batch counts.
const CALLS: u32 = 2000;
const BATCHES: usize = 9;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (component, native) = (runtime.block_on(component()), native());
    println!("{}", serde_json::json!({ "component_ns": component, "native_ns": native }));
}

async fn component() -> f64 {
    let embedded = embedded::all().iter().find(|component| component.descriptor.name == "google").unwrap();
    let prepared = Sandbox::new(&Workshop::here()).unwrap().prepare(embedded.component).await.unwrap();
    let descriptor = Arc::clone(&embedded.descriptor);
    let mut settings = Settings::default();
    for (name, value) in [("client_id", "me"), ("prompt", "consent")] {
        settings.insert(descriptor.setting(name).unwrap(), &Secret::from(value)).unwrap();
    }
    let context = Context {
        descriptor,
        settings: Arc::new(settings),
        resolved: Arc::new(BTreeMap::new()),
        egress: Egress::new(&config::Egress::default()).unwrap(),
    };
    let mut batches = Vec::new();
    for _ in 0..BATCHES {
        let begun = Instant::now();
        for _ in 0..CALLS {
            black_box(prepared.authorization(&context, &["openid".to_owned()]).await.unwrap());
        }
        batches.push(begun.elapsed().as_nanos() as f64 / f64::from(CALLS));
    }
    middle(batches)
}

fn native() -> f64 {
    Broker::of::<google::Google>().set("client_id", "me").set("prompt", "consent").start();
    let scopes = ["openid".to_owned()];
    let mut batches = Vec::new();
    for _ in 0..BATCHES {
        let begun = Instant::now();
        for _ in 0..CALLS {
            black_box(google::Google::authorization(black_box(&scopes)).unwrap());
        }
        batches.push(begun.elapsed().as_nanos() as f64 / f64::from(CALLS));
    }
    middle(batches)
}

fn middle(mut batches: Vec<f64>) -> f64 {
    batches.sort_by(f64::total_cmp);
    batches[batches.len() / 2]
}
