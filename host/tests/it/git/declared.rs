//! Hosts that a provider's component declares: git needs no line, as long as it is clear which login is meant.

use std::sync::Arc;

use super::{git, said};
use crate::support::broker::Launch;
use crate::support::git_server::GitServer;
use crate::support::lookalike::{App, Decision, GitHub, Lookalike, Site};
use crate::support::visit::login;

#[tokio::test]
async fn a_login_with_github_is_gits_for_github_until_there_are_two() {
    let github = Arc::new(GitHub::new(App::OAuth));
    let lookalike = Lookalike::of(&github).await;
    let desk = github.desk();
    let launch = Launch::new().at(&lookalike).client("GITHUB", desk.client_id(), desk.client_secret()).vaulted(&[]).await;
    let plain = launch.twin();
    let denied = launch.twin().toml("[policy]\nreveal = \"deny\"");
    let listed = launch.twin().toml("[policy]\nreveal = \"deny\"\n[git]\n\"github.com\" = \"work\"");
    let mut broker = launch.ready().await;
    let person = |url: &str| github.sign_in(url, Decision::Approve);
    login(&mut broker, "github", &["repo"], "home", person).await.answer.ok();
    let token = broker.reveal("home").await;

    let server = GitServer::start(&["github.com", "gist.github.com"], "x-access-token", &token).await;
    let proxy = format!("http.proxy=http://127.0.0.1:{}", server.proxy().await);
    let clone = |launch: &Launch, to: &str| {
        let words = [
            "-c".to_owned(),
            proxy.clone(),
            "clone".to_owned(),
            "-q".to_owned(),
            "https://github.com/repo.git".to_owned(),
            to.to_owned(),
        ];
        let server = &server;
        let launch = launch.twin();
        async move { git(&launch, server, &words.iter().map(String::as_str).collect::<Vec<_>>()).await }
    };
    let cloned = clone(&plain, "one").await;
    assert!(cloned.status.success(), "{}", said(&cloned));
    let refused = clone(&denied, "two").await;
    assert!(!refused.status.success() && said(&refused).contains("\"github.com\" = \"home\""), "{}", said(&refused));

    login(&mut broker, "github", &["repo"], "work", person).await.answer.ok();
    let unclear = clone(&plain, "three").await;
    let told = said(&unclear);
    assert!(!unclear.status.success() && told.contains("\"home\"") && told.contains("\"work\""), "{told}");
    server.take("x-access-token", &broker.reveal("work").await);
    let cloned = clone(&listed, "four").await;
    assert!(cloned.status.success(), "{}", said(&cloned));
}
