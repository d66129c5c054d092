//! GitHub as far as a login goes, over TLS, for `cargo xtask bench`: the stage of `providers check`, in a process of its own so
//! that its memory is not the broker's.
//!
//! Its first line says in JSON where it listens, and whose certificate it has. For every authorization URL that it then
//! reads it answers with the address to which a browser would come back.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for `cargo xtask bench`")]

use std::io::BufRead as _;

use credentials_broker::descriptor::Role;
use credentials_broker::rehearsal::stage::{Place, Script, Stage};
use credentials_broker::secret::Secret;
use url::Url;

const FIXTURES: &str = include_str!("../../providers/github/fixtures.json");

#[tokio::main]
async fn main() {
    let place = |endpoint: &str, role, method: &str, url: &str| Place {
        endpoint: endpoint.to_owned(),
        role,
        method: method.to_owned(),
        url: Url::parse(url).unwrap(),
    };
    let script = Script {
        places: vec![
            place("authorize", Role::Authorization, "GET", "https://github.com/login/oauth/authorize"),
            place("token", Role::Token, "POST", "https://github.com/login/oauth/access_token"),
            place("user", Role::Account, "GET", "https://api.github.com/user"),
        ],
        client_id: "bench".to_owned(),
        client_secret: Some(Secret::from("a client secret of the bench")),
        refreshes: true,
        fixtures: serde_json::from_str(FIXTURES).unwrap(),
        ..Script::default()
    };
    let stage = Stage::start(script).await.unwrap();
    println!("{}", serde_json::json!({ "address": stage.address(), "authority": stage.authority() }));
    tokio::task::spawn_blocking(move || {
        for line in std::io::stdin().lock().lines() {
            let back = stage.sign_in(&Url::parse(&line.unwrap()).unwrap()).unwrap();
            println!("{}", back.url(&back.state));
        }
    })
    .await
    .unwrap();
}
