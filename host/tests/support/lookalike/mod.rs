//! Servers that answer over TLS as github.com and others do: their paths, their quirks, their mistakes.
//!
//! One listener on loopback stands in for all hosts of its sites, under a certificate authority of its own. The broker
//! is told to find them there by `[egress] resolve` and `extra_roots` ([`Lookalike::toml`]); nothing in the product
//! knows of it. Every request is recorded, and faults can be put into any path.

mod desk;
mod entra;
mod github;
mod google;
mod openid;
mod request;
mod server;
mod signer;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;

pub use desk::{Decision, Desk, Grant};
pub use entra::{Entra, TENANT};
pub use github::{App, GitHub};
pub use google::Google;
pub use openid::{OpenId, Rotation};
pub use request::Request;
pub use server::certificate;
pub use signer::Algorithm;

/// One provider's hosts and how they answer.
pub trait Site: Send + Sync + 'static {
    /// The hosts it stands for.
    fn hosts(&self) -> Vec<String>;
    /// The answer to a request.
    fn answer(&self, request: &Request) -> Answer;
    /// Its desk, where codes and tokens are handed out.
    fn desk(&self) -> &Desk;
}

/// An answer, or a fault.
#[derive(Debug, Clone)]
pub enum Answer {
    /// An ordinary answer.
    Http { status: u16, headers: Vec<(String, String)>, body: Bytes },
    /// The connection is closed once the request was read.
    Close,
    /// Another answer, late.
    Late(Duration, Box<Answer>),
    /// An error that quotes what this makes of the request.
    Quote(fn(&Request) -> String),
}

impl Answer {
    /// JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json; charset=utf-8", body.to_string())
    }

    /// A body of any type.
    pub fn text(status: u16, kind: &str, body: impl Into<Bytes>) -> Self {
        Self::Http { status, headers: vec![("content-type".to_owned(), kind.to_owned())], body: body.into() }
    }

    /// A redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::Http { status, headers: vec![("location".to_owned(), location.to_owned())], body: Bytes::new() }
    }

    /// Adds a header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Http { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The same, late.
    pub fn after(self, delay: Duration) -> Self {
        Self::Late(delay, Box::new(self))
    }
}

type Edit = Arc<dyn Fn(&mut Value) + Send + Sync>;

#[derive(Default)]
struct Faults {
    once: BTreeMap<String, Vec<Answer>>,
    always: BTreeMap<String, Answer>,
    edits: BTreeMap<String, Edit>,
    delays: BTreeMap<String, Duration>,
}

struct Shared {
    sites: Vec<Arc<dyn Site>>,
    faults: Mutex<Faults>,
    requests: Mutex<Vec<Request>>,
}

/// The running servers.
pub struct Lookalike {
    shared: Arc<Shared>,
    address: SocketAddr,
    folder: TempDir,
    server: tokio::task::JoinHandle<()>,
}

impl Lookalike {
    /// Starts them.
    pub async fn start(sites: Vec<Arc<dyn Site>>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let shared = Arc::new(Shared { sites, faults: Mutex::default(), requests: Mutex::default() });
        let hosts: Vec<String> = shared.sites.iter().flat_map(|site| site.hosts()).collect();
        let (address, ca, server) = server::start(hosts, Arc::clone(&shared)).await;
        std::fs::write(folder.path().join("ca.pem"), ca).expect("a file");
        Self { shared, address, folder, server }
    }

    /// One site alone.
    pub async fn of<S: Site>(site: &Arc<S>) -> Self {
        Self::start(vec![Arc::clone(site) as Arc<dyn Site>]).await
    }

    /// The file with the authority that signed their certificates.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Where they listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The lines of `broker.toml` that lead there.
    pub fn toml(&self) -> String {
        let hosts = self.shared.sites.iter().flat_map(|site| site.hosts());
        let hosts: Vec<String> = hosts.map(|host| format!("\"{host}:443\" = \"{}\"", self.address)).collect();
        format!("[egress]\nextra_roots = \"{}\"\nresolve = {{ {} }}\n", self.ca().display(), hosts.join(", "))
    }

    /// The next request to that path gets this answer; several queue up.
    pub fn once(&self, path: &str, answer: Answer) {
        self.faults().once.entry(path.to_owned()).or_default().push(answer);
    }

    /// Every request to that path gets this answer.
    pub fn always(&self, path: &str, answer: Answer) {
        self.faults().always.insert(path.to_owned(), answer);
    }

    /// What is answered at that path is changed so, where it is a JSON object.
    pub fn edit(&self, path: &str, edit: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.faults().edits.insert(path.to_owned(), Arc::new(edit));
    }

    /// What is answered at that path arrives late, though it is decided at once.
    pub fn delay(&self, path: &str, delay: Duration) {
        self.faults().delays.insert(path.to_owned(), delay);
    }

    /// Takes all faults back.
    pub fn heal(&self) {
        *self.faults() = Faults::default();
    }

    /// The requests to that path, in order.
    pub fn requests(&self, path: &str) -> Vec<Request> {
        self.shared.requests.lock().expect("sane").iter().filter(|request| request.path == path).cloned().collect()
    }

    /// All requests.
    pub fn all_requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("sane").clone()
    }

    /// Forgets the requests so far: only what comes now is of interest.
    pub fn forget_requests(&self) {
        self.shared.requests.lock().expect("sane").clear();
    }

    /// Every secret that came or went: codes, verifiers, tokens, client secrets.
    pub fn secrets(&self) -> Vec<String> {
        self.shared.sites.iter().flat_map(|site| site.desk().secrets()).collect()
    }

    fn faults(&self) -> std::sync::MutexGuard<'_, Faults> {
        self.shared.faults.lock().expect("sane")
    }
}

impl Drop for Lookalike {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn answer(&self, request: Request) -> Answer {
        let path = request.path.clone();
        let fault = {
            let mut faults = self.faults.lock().expect("sane");
            let queued = faults.once.get_mut(&path).filter(|queue| !queue.is_empty()).map(|queue| queue.remove(0));
            queued.or_else(|| faults.always.get(&path).cloned())
        };
        let fault = fault.map(|fault| match fault {
            Answer::Quote(quote) => {
                let text = format!("Your request was wrong: {}", quote(&request));
                Answer::json(
                    400,
                    &serde_json::json!({ "error": "invalid_request", "error_description": text, "error_uri": text }),
                )
            }
            other => other,
        });
        let answer = fault.unwrap_or_else(|| {
            let site = self.sites.iter().find(|site| site.hosts().contains(&request.host));
            let answer = site.map_or_else(|| Answer::text(421, "text/plain", "no such host here"), |site| site.answer(&request));
            let edit = self.faults.lock().expect("sane").edits.get(&path).cloned();
            edit.map_or_else(|| answer.clone(), |edit| edited(&answer, &edit))
        });
        self.requests.lock().expect("sane").push(request);
        match self.faults.lock().expect("sane").delays.get(&path) {
            Some(delay) => answer.after(*delay),
            None => answer,
        }
    }
}

fn edited(answer: &Answer, edit: &Edit) -> Answer {
    let Answer::Http { status, headers, body } = answer else { return answer.clone() };
    let Ok(mut json) = serde_json::from_slice::<Value>(body) else { return answer.clone() };
    edit(&mut json);
    Answer::Http { status: *status, headers: headers.clone(), body: json.to_string().into() }
}
