//! What `wrap` costs: calls to a real MCP server, one at a time, directly and through the broker.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::ROUNDS;
use super::contestants::{Contestant, folder};
use super::driver::Session;
use super::pairs::Pair;
use crate::{needs, paths, run};

/// How many calls in a turn.
const CALLS: usize = 1000;

pub(super) fn measure(broker: &Contestant) -> Result<Vec<Pair>> {
    needs::packages_of_node("servers")?;
    let server = paths::target().join("servers/node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    let home = folder().join("wrap");
    let _ = std::fs::remove_dir_all(&home);
    std::fs::create_dir_all(&home)?;
    let (file, vault, key) = (home.join("broker.toml"), home.join("vault/vault.db"), home.join("vault.key"));
    let rule = "[wrap.bench]\nallow = [{ tool = \"echo\", argument = \"/message\", secret = \"bench\" }]";
    std::fs::write(&file, format!("[vault]\npath = {vault:?}\nkey_file = {key:?}\n{rule}\n"))?;
    let command = |words: &[&str]| {
        let mut command = Command::new(broker.program());
        command.arg("--config").arg(&file).args(words);
        command
    };
    run::show(command(&["vault", "init", "--key-file"]).arg(&key))?;
    let mut set = command(&["secrets", "set", "bench"]).stdin(std::process::Stdio::piped()).spawn()?;
    std::io::Write::write_all(&mut set.stdin.take().context("piped")?, b"a value of usual length, 36 chars.")?;
    ensure!(set.wait()?.success(), "the secret could not be stored");

    let words =
        ["--config".into(), file, "wrap".into(), "--name".into(), "bench".into(), "--".into(), "node".into(), server.clone()];
    let wrapped = Contestant::new("wrapped", broker.program().to_owned(), words.to_vec());
    let direct = Contestant::new("direct", "node".into(), vec![server]);
    let mut plain = Pair::new("a tool call through `wrap` (server-everything, `echo`)", Some(1.15));
    let mut secret = Pair::new("the same with a secret put in and taken out", None);
    for _ in 0..ROUNDS {
        let (mut with, mut without) = (Session::start(&wrapped)?, Session::start(&direct)?);
        let (mut times, mut filled, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..CALLS {
            times.push(with.call("echo", &json!({ "message": "hello" }))?);
            bare.push(without.call("echo", &json!({ "message": "hello" }))?);
            filled.push(with.call("echo", &json!({ "message": "secret:bench" }))?);
        }
        plain.add(&times, &bare);
        secret.add(&filled, &bare);
    }
    Ok(vec![plain, secret])
}
