//! Under `reveal = "deny"` a program needs the operator's line; without a vault there is nothing to hand out.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{KEY, TOKEN, launch, stderr, stdout};
use crate::support::broker::Launch;
use crate::support::place::program;

#[tokio::test]
async fn where_nothing_is_revealed_a_program_needs_the_operators_line() {
    let (env, cat) = (program("env"), program("cat"));
    let launch = launch().await.toml(&format!(
        "[policy]\nreveal = \"deny\"\n[exec.env]\nprogram = \"{env}\"\nsecrets = [\"github-token\"]\n[exec.cat]\nprogram = \"{cat}\"\narguments = [\"-u\"]\nsecrets = [\"key\"]"
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
    assert!(run(&["--env", "A=key", "--", "cat", "-u", "/dev/null"]).await.status.success());
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
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("env");
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

/// Some files are many programs, and do what the name says by which they are started.
#[tokio::test]
async fn a_program_is_called_what_the_operator_calls_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    std::fs::copy(program("sh"), folder.join("multi")).unwrap();
    let theirs = folder.join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    for link in ["gh", "printenv", "theirs/gh"] {
        std::os::unix::fs::symlink(folder.join("multi"), folder.join(link)).unwrap();
    }
    let listed = folder.join("gh").display().to_string();
    let rule = format!("[policy]\nreveal = \"deny\"\n[exec.gh]\nprogram = \"{listed}\"\nsecrets = [\"github-token\"]");
    let launch = launch().await.toml(&rule);
    let run = async |name: &str| {
        let program = folder.join(name).display().to_string();
        launch.output(&["exec", "--env", "A=github-token", "--", &program, "-c", "echo \"$0\""]).await
    };
    for name in ["gh", "theirs/gh"] {
        let output = run(name).await;
        assert_eq!(stdout(&output), format!("{listed}\n"), "{}", stderr(&output));
    }
    for name in ["printenv", "multi"] {
        let refused = run(name).await;
        assert_eq!(refused.status.code(), Some(3), "{name}: {}", stdout(&refused));
        assert!(stderr(&refused).contains(&format!("Start it as {listed}.")), "{}", stderr(&refused));
    }
}

#[tokio::test]
async fn a_file_for_a_program_needs_a_line_of_its_own() {
    let launch = launch().await;
    let file = launch.home().join("token").display().to_string();
    let rule =
        format!("[policy]\nreveal = \"deny\"\n[exec.cat]\nprogram = \"{}\"\nsecrets = [\"github-token\"]\n", program("cat"));
    let given = format!("{file}=github-token");
    let words = ["exec", "--refresh-file", &given, "--", "cat", &file];
    let launch = launch.toml(&rule);
    let refused = launch.output(&words).await;
    assert_eq!(refused.status.code(), Some(3), "{}", stdout(&refused));
    assert!(stderr(&refused).contains(&format!("refresh_file = \"{file}\"")), "{}", stderr(&refused));
    let launch = launch.toml(&format!("[exec.cat]\nrefresh_file = \"{file}\""));
    assert_eq!(stdout(&launch.output(&words).await), TOKEN);
    let elsewhere = format!("{file}2=github-token");
    let refused = launch.output(&["exec", "--refresh-file", &elsewhere, "--", "cat", "/dev/null"]).await;
    assert_eq!(refused.status.code(), Some(3), "another file is another line");
}

/// The environment is the agent's where the agent starts the command.
#[tokio::test]
async fn a_listed_program_does_not_inherit_what_makes_it_run_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    std::fs::write(&script, "echo \"taken: $A\"\n").unwrap();
    let bash = program("bash");
    let allowed = launch().await.env("BASH_ENV", script.to_str().unwrap()).env("PYTHONPATH", "x").env("GH_PAGER", "y");
    let allowed = allowed.env("OTHER", "stays");
    let words = ["exec", "--env", "A=github-token", "--", "bash", "-c", "env"];
    let said = stdout(&allowed.output(&words).await);
    assert!(said.contains("taken: ") && said.contains("PYTHONPATH"), "where nothing is hidden, all is as it was: {said}");
    let rule = format!("[policy]\nreveal = \"deny\"\n[exec.bash]\nprogram = \"{bash}\"\nsecrets = [\"github-token\", \"key\"]");
    let launch = allowed.toml(&rule);
    let said = stdout(&launch.output(&words).await);
    assert!(said.contains("OTHER=stays") && said.contains("A=ghp_canary"), "{said}");
    for gone in ["taken: ", "BASH_ENV", "PYTHONPATH", "GH_PAGER"] {
        assert!(!said.contains(gone), "{gone}: {said}");
    }
    let kept = launch.output(&["exec", "--keep", "BASH_ENV", "--env", "A=github-token", "--", "bash", "-c", "true"]).await;
    assert!(stdout(&kept).is_empty(), "nor is it to be had by asking");
    for how in ["--env", "--file"] {
        let refused = launch.output(&["exec", "--env", "A=github-token", how, "BASH_ENV=key", "--", "bash", "-c", "true"]).await;
        assert_eq!(refused.status.code(), Some(126), "{}", stdout(&refused));
        assert!(stderr(&refused).contains("BASH_ENV can make"), "{}", stderr(&refused));
    }
}

/// What a listed argument names must be as safe as the program.
#[tokio::test]
async fn a_script_that_others_can_change_or_that_lies_anywhere_gets_nothing() {
    let launch = launch().await;
    let folder = launch.home().canonicalize().unwrap();
    let script = folder.join("script");
    std::fs::write(&script, "echo ran\n").unwrap();
    let mode = |mode| std::fs::set_permissions(&script, std::fs::Permissions::from_mode(mode)).unwrap();
    let rule = |argument: &str| {
        format!(
            "[policy]\nreveal = \"deny\"\n[exec.sh]\nprogram = \"{}\"\narguments = [\"{argument}\"]\nsecrets = [\"github-token\"]\n",
            program("sh")
        )
    };
    let path = script.display().to_string();
    let launch = launch.toml(&rule(&path));
    let words = ["exec", "--env", "A=github-token", "--", "sh", &path];
    mode(0o644);
    assert_eq!(stdout(&launch.output(&words).await), "ran\n");
    mode(0o666);
    let refused = launch.output(&words).await;
    assert!(
        refused.status.code() == Some(3) && stderr(&refused).contains(&format!("chmod go-w '{path}'")),
        "{}",
        stderr(&refused)
    );
    mode(0o644);
    let launch = super::launch().await.toml(&rule("script"));
    let mut command = launch.command();
    let run = command.args(["exec", "--env", "A=github-token", "--", "sh", "script"]).current_dir(&folder);
    let refused = run.output().await.unwrap();
    assert!(refused.status.code() == Some(3) && stderr(&refused).contains("whole path"), "{}", stderr(&refused));
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
