//! `cargo bench --bench calls`: the calls that agents make most, in the broker alone and over the whole way of an MCP call,
//! with what each allocates.
#![expect(clippy::unwrap_used, reason = "a program for developers")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Write as _};
use std::sync::Arc;

use credentials_broker::audit::Audit;
use credentials_broker::broker::Broker;
use credentials_broker::config::Config;
use credentials_broker::mcp;
use credentials_broker::providers::Providers;
use credentials_broker::sandbox::Workshop;
use credentials_broker::secret::{Secret, SecretName};
use credentials_broker::vault::{Memory, Stored, Vault as _};
use divan::{Bencher, black_box};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

const NAME: &str = "service/account";
const PURPOSE: &str = "measuring";

fn main() {
    divan::main();
}

fn broker() -> Arc<Broker> {
    let (config, vault) = (Config::default(), Memory::default());
    let value = Stored::Static(Secret::from("a value of usual length, 36 chars.."));
    vault.put(&SecretName::parse(NAME).unwrap(), value, BTreeMap::new(), &mut |_| Ok(())).unwrap();
    let providers = Providers::new(&config, &[], Workshop::here()).unwrap();
    Broker::new(&config, Arc::new(vault), providers, Audit::to(std::io::sink()), None).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[divan::bench]
fn get_secret_in_the_broker(bencher: Bencher<'_, '_>) {
    let (broker, runtime) = (broker(), runtime());
    bencher.bench_local(|| runtime.block_on(broker.get_secret(black_box(NAME), PURPOSE, None)).unwrap());
}

#[divan::bench]
fn resolve_secret_in_the_broker(bencher: Bencher<'_, '_>) {
    let (broker, runtime) = (broker(), runtime());
    let issued = runtime.block_on(broker.get_secret(NAME, PURPOSE, None)).unwrap();
    bencher.bench_local(|| runtime.block_on(broker.resolve_secret(black_box(&issued.id))).unwrap());
}

#[divan::bench]
fn get_secret_as_a_tool(bencher: Bencher<'_, '_>) {
    let mut client = Client::start();
    let call = client.call("get_secret", &json!({ "name": NAME, "purpose": PURPOSE }));
    bencher.bench_local(|| client.ask(&call).len());
}

#[divan::bench]
fn resolve_secret_as_a_tool(bencher: Bencher<'_, '_>) {
    let mut client = Client::start();
    let call = client.call("get_secret", &json!({ "name": NAME, "purpose": PURPOSE }));
    let issued: Value = serde_json::from_str(client.ask(&call)).unwrap();
    let id = &issued["result"]["structuredContent"]["reference"]["id"];
    let call = client.call("resolve_secret", &json!({ "reference_id": id }));
    bencher.bench_local(|| client.ask(&call).len());
}

/// A client of a server in this process, whose threads are counted with it.
struct Client {
    to: PipeWriter,
    from: BufReader<PipeReader>,
    line: String,
}

impl Client {
    fn start() -> Self {
        let (server_in, to) = std::io::pipe().unwrap();
        let (from, server_out) = std::io::pipe().unwrap();
        std::thread::spawn(move || {
            runtime().block_on(mcp::serve(broker(), BufReader::with_capacity(mcp::READ, server_in), server_out, drop));
        });
        let mut client = Self { to, from: BufReader::new(from), line: String::new() };
        let hello =
            json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "bench", "version": "1" } });
        let hello = format!("{}\n", json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello }));
        client.ask(&hello);
        writeln!(client.to, "{}", json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).unwrap();
        // Who the client is the SDK tells, at the first call.
        let first = client.call("list_providers", &json!({}));
        client.ask(&first);
        client
    }

    /// The line of a call. All have one id: none is sent before the last is answered.
    fn call(&self, tool: &str, arguments: &Value) -> String {
        let params = json!({ "name": tool, "arguments": arguments });
        format!("{}\n", json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }))
    }

    fn ask(&mut self, line: &str) -> &str {
        self.to.write_all(line.as_bytes()).unwrap();
        self.line.clear();
        self.from.read_line(&mut self.line).unwrap();
        assert!(!self.line.contains("isError") && !self.line.contains("\"error\""), "{}", self.line);
        &self.line
    }
}
