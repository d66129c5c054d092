//! What a login leaves resident: the engine, a component from the compile cache, TLS with its certificates.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::contestants::{Contestant, folder};
use super::driver::Session;
use super::figures::Turn;
use super::metrics::Metric;
use crate::{paths, run};

/// Signs in twice, each time with a new process: the first fills the compile cache, the second is measured.
pub(super) fn measure(broker: &Contestant) -> Result<Turn> {
    let mut github = Stage::start()?;
    let home = folder().join("login");
    let _ = std::fs::remove_dir_all(&home);
    std::fs::create_dir_all(&home)?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let (file, roots) = (home.join("broker.toml"), home.join("roots.pem"));
    std::fs::write(&roots, &github.authority)?;
    let address = &github.address;
    std::fs::write(
        &file,
        format!(
            "browser = \"none\"\n[callback]\nurl = \"http://localhost:{port}/oauth/callback\"\n[egress]\nextra_roots = {roots:?}\n\
             resolve = {{ \"github.com:443\" = \"{address}\", \"api.github.com:443\" = \"{address}\" }}\n"
        ),
    )?;
    let broker = broker
        .with(&["--config".into(), file], &home.join("cache"))
        .env("GITHUB_CLIENT_ID", "bench")
        .env("GITHUB_CLIENT_SECRET", "a client secret of the bench");
    let mut resident = None;
    for _ in 0..2 {
        let mut session = Session::start(&broker)?;
        let wanted = json!({ "provider": "github", "scopes": ["repo"], "secret_name": "bench" });
        let pending = session.told("start_oauth_flow", &wanted)?.context("the broker has tools")?;
        let url = pending["authorization_url"].as_str().with_context(|| format!("no authorization_url in {pending}"))?;
        come_back(&github.sign_in(url)?)?;
        let told = session.told("await_oauth_flow", &json!({ "flow_id": pending["flow_id"] }))?;
        ensure!(told.as_ref().is_some_and(|told| told["success"] == true), "the login did not end well: {told:?}");
        session.call("get_secret", &super::turn::wanted())?;
        resident = session.resident_mib();
    }
    Ok(resident.map(|resident| (Metric::ResidentAfterLogin, resident)).into_iter().collect())
}

/// Does what a browser does with the address of the callback.
fn come_back(address: &str) -> Result<()> {
    let (authority, path) =
        address.strip_prefix("http://").and_then(|rest| rest.split_once('/')).context("no callback address")?;
    let port = authority.rsplit(':').next().unwrap_or_default().parse::<u16>()?;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    ensure!(page.starts_with("HTTP/1.1 200"), "the callback said {:?}", page.lines().next());
    Ok(())
}

/// `host/examples/stage.rs`, running.
struct Stage {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    address: String,
    authority: String,
}

impl Stage {
    fn start() -> Result<Self> {
        let mut cargo = run::cargo(&paths::root());
        cargo.args(["run", "--release", "--quiet", "--package", "mcp-credentials-broker", "--example", "stage"]);
        let mut child = cargo.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("piped")?);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line).context("the example `stage` did not say where it listens")?;
        let of =
            |name: &str| told[name].as_str().map(str::to_owned).with_context(|| format!("the example `stage` told no {name}"));
        Ok(Self { child, lines, address: of("address")?, authority: of("authority")? })
    }

    fn sign_in(&mut self, url: &str) -> Result<String> {
        writeln!(self.child.stdin.as_mut().context("piped")?, "{url}")?;
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
