//! Under `reveal = "deny"` a program needs the operator's line; without a vault there is nothing to hand out.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{KEY, TOKEN, launch, stderr, stdout};
use crate::support::broker::Launch;

fn program(name: &str) -> String {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file()).unwrap();
    found.canonicalize().unwrap().display().to_string()
}

#[tokio::test]
async fn where_nothing_is_revealed_a_program_needs_the_operators_line() {
    let (env, cat) = (program("env"), program("cat"));
    let launch = launch().await.toml(&format!(
        "[policy]\nreveal = \"deny\"\n[exec.env]\nprogram = \"{env}\"\nsecrets = [\"github-token\"]\n[exec.cat]\nprogram = \"{cat}\"\narguments = [\"/dev/null\"]\nsecrets = [\"key\"]"
    ));
    let run = async |words: &[&str]| launch.output(&[&["exec"], words].concat()).await;
    let allowed = run(&["--env", "A=github-token", "--", "env"]).await;
    assert!(stdout(&allowed).contains(&format!("A={TOKEN}")), "{}", stderr(&allowed));
    for words in [
        &["--env", "A=github-token", "--", "printenv"][..],
        &["--env", "A=key", "--", "env"],
        &["--file", "A=key", "--", "env"],
        &["--refresh-file", "f=key", "--", "env"],
        &["--env", "A=github-token", "--env", "B=key", "--", "env"],
        &["--env", "A=key", "--", "cat", "/etc/passwd"],
        &["--env", "A=key", "--", "cat"],
    ] {
        let refused = run(words).await;
        assert_eq!(refused.status.code(), Some(3), "{words:?}: {}", stderr(&refused));
        assert!(stderr(&refused).contains("[exec.") && stdout(&refused).is_empty(), "{}", stderr(&refused));
    }
    assert!(run(&["--env", "A=key", "--", "cat", "/dev/null"]).await.status.success());
    assert!(run(&["--", "true"]).await.status.success(), "without a secret there is nothing to allow");
}

#[tokio::test]
async fn a_program_that_others_can_change_or_that_is_another_file_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let own = folder.join("env");
    std::fs::copy(program("env"), &own).unwrap();
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(&own, 0o755);
    let rule = format!("[policy]\nreveal = \"deny\"\n[exec.env]\nprogram = \"{}\"\nsecrets = [\"github-token\"]", own.display());
    let launch = launch().await.toml(&rule);
    let run = async |program: &str| launch.output(&["exec", "--env", "A=github-token", "--", program]).await;
    let path = own.to_str().unwrap();
    assert!(run(path).await.status.success());
    assert_eq!(run("env").await.status.code(), Some(3), "the one in PATH is another file");
    let link = folder.join("link");
    std::os::unix::fs::symlink(&own, &link).unwrap();
    assert!(run(link.to_str().unwrap()).await.status.success(), "a link to it is it");
    mode(&own, 0o757);
    let refused = run(path).await;
    assert!(refused.status.code() == Some(3) && stderr(&refused).contains("chmod go-w"), "{}", stderr(&refused));
    mode(&own, 0o755);
    mode(&folder, 0o777);
    assert_eq!(run(path).await.status.code(), Some(3), "nor is its folder free for all");
    mode(&folder, 0o700);
}

#[tokio::test]
async fn a_token_is_printed_only_where_the_operator_lists_it() {
    let launch = launch().await.toml("[token_command]\nsecrets = [\"github-token\"]");
    let printed = launch.output(&["token-command", "github-token"]).await;
    assert_eq!(stdout(&printed), format!("{TOKEN}\n"), "{}", stderr(&printed));
    let refused = launch.output(&["token-command", "key"]).await;
    assert_eq!(refused.status.code(), Some(3));
    assert!(stderr(&refused).contains("[token_command]") && stdout(&refused).is_empty(), "{}", stderr(&refused));
    crate::support::canary::assert_unseen("standard error", &refused.stderr, [KEY]);
}

#[tokio::test]
async fn without_a_vault_there_is_nothing_to_hand_out() {
    let launch = Launch::new().toml("[token_command]\nsecrets = [\"a\"]");
    for words in [&["exec", "--env", "A=a", "--", "true"][..], &["wrap", "--", "true"], &["token-command", "a"]] {
        let output = launch.output(words).await;
        assert!(output.status.code() == Some(6) && stderr(&output).contains("vault init"), "{words:?}: {}", stderr(&output));
    }
}
