//! Whose vault it is: modes and owners, as an unprivileged user where the tests run as root.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::process::Command;

use super::{Home, Said, said};
use crate::support::broker::Launch;

/// Nobody's number on every Linux.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A home of an unprivileged user: of nobody, if root is testing; else of whoever is.
struct Unprivileged {
    home: Home,
    program: PathBuf,
}

impl Unprivileged {
    fn new() -> Self {
        let home = Home::new();
        let built = PathBuf::from(env!("CARGO_BIN_EXE_mcp-credentials-broker"));
        if !is_root() {
            return Self { home, program: built };
        }
        // A build folder below /root cannot be entered by others.
        let program = home.path("broker");
        if std::fs::hard_link(&built, &program).is_err() {
            std::fs::copy(&built, &program).unwrap();
        }
        std::os::unix::fs::chown(home.path("."), Some(NOBODY), Some(NOBODY)).unwrap();
        Self { home, program }
    }

    async fn run(&self, arguments: &[&str]) -> Said {
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command
                .args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".to_owned()])
                .arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        command.args(arguments).env_clear().envs(self.home.variables()).current_dir(self.home.path(".")).kill_on_drop(true);
        command.stdin(std::process::Stdio::null());
        said(command).await
    }

    async fn with_vault() -> Self {
        let user = Self::new();
        let key = user.home.path("vault.key").display().to_string();
        user.run(&["vault", "init", "--key-file", &key]).await.ok();
        user
    }
}

#[tokio::test]
async fn a_vault_is_made_for_its_user_alone() {
    let user = Unprivileged::with_vault().await;
    let vault = user.home.vault();
    assert_eq!((mode(&vault), mode(vault.parent().unwrap()), mode(&user.home.path("vault.key"))), (0o600, 0o700, 0o600));
    user.run(&["vault", "status"]).await.ok();
}

#[tokio::test]
async fn loose_permissions_are_refused_with_the_command_that_helps() {
    let user = Unprivileged::with_vault().await;
    let vault = user.home.vault();
    let folder = vault.parent().unwrap().to_owned();
    let key = user.home.path("vault.key");
    for (path, right, loose) in
        [(&vault, 0o600, 0o640), (&vault, 0o600, 0o604), (&folder, 0o700, 0o750), (&folder, 0o700, 0o701), (&key, 0o600, 0o644)]
    {
        set_mode(path, loose);
        let refused = user.run(&["vault", "export", "--recipient", "age1x", "/dev/null/x"]).await;
        let helps = format!("chmod {right:o} '{}'", path.canonicalize().unwrap().display());
        let refused = refused.failed(6, &["open to other users"]);
        assert!(refused.err.contains(&helps), "{helps}: {refused:?}");
        assert_eq!(mode(path), loose, "nothing is changed");
        set_mode(path, right);
        assert!(user.run(&["vault", "status"]).await.ok().contains("state     open"));
    }
    set_mode(&user.home.path("."), 0o755);
    let named = user.home.path("vault.db").display().to_string();
    let refused = user.run(&["vault", "init", "--vault", &named, "--key-file", &key.display().to_string()]).await;
    refused.failed(6, &["chmod 700"]);
}

#[tokio::test]
async fn a_folder_or_file_that_cannot_be_written_is_said_to_be_one() {
    let user = Unprivileged::with_vault().await;
    let vault = user.home.vault();
    let folder = vault.parent().unwrap().to_owned();
    let recipients = ["--recipient", "age1rxa8kufcmx8uwhhd4qqthj9wj7qz0sfq65tl63r9ewzhvxjqk45qd2tcqs"];
    let out = user.home.path("out.age").display().to_string();
    let export = [&["vault", "export"], recipients.as_slice(), &[&out]].concat();
    set_mode(&folder, 0o500);
    user.run(&export).await.failed(6, &["cannot be written"]);
    set_mode(&folder, 0o700);
    let before = std::fs::read(&vault).unwrap();
    set_mode(&vault, 0o400);
    user.run(&["vault", "rekey", "--key-file", &user.home.path("second").display().to_string()])
        .await
        .failed(6, &["cannot be written"]);
    set_mode(&vault, 0o600);
    assert_eq!(std::fs::read(&vault).unwrap(), before);
    assert!(user.run(&["vault", "status"]).await.ok().contains("state     open"));
}

#[tokio::test]
async fn another_users_vault_is_refused_by_whoever_it_is() {
    if is_root() {
        let user = Unprivileged::with_vault().await;
        let vault = user.home.vault().display().to_string();
        // Root may open everything, and must not by mistake: it would leave files that the user cannot open.
        let root = Home::new();
        root.run(&["vault", "status", "--vault", &vault]).await.failed(6, &["belongs to the user 65534"]);
        let ours = Home::with_vault().await;
        set_mode(&ours.path("."), 0o755);
        let theirs = Unprivileged::new();
        theirs
            .run(&["vault", "status", "--vault", &ours.vault().display().to_string()])
            .await
            .failed(6, &["cannot be looked at"]);
        let mut broker = Launch::new().argument("--vault").argument(&vault).ready().await;
        broker.call("list_secrets", json!({})).await.refused("vault_unwritable").names(&["belongs to the user"]);
    } else {
        // A file of root, which is there on every Unix.
        let home = Home::new();
        home.run(&["vault", "status", "--vault", "/etc/passwd"]).await.failed(6, &["belongs to the user 0"]);
    }
}
