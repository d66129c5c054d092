//! What a program of the same user could reach. The broker keeps secrets from the model and from components; it cannot
//! keep them from somebody who is the same person to the operating system, and here it says so place by place.

use std::sync::Arc;

use super::Patient;
use crate::cli::Options;
use crate::config;
use crate::vault::{OpenedBy, Sqlite};

pub(super) async fn reach(patient: &Patient, options: &Options) -> Vec<String> {
    let mut places = Vec::new();
    let (providers, _) = patient.broker.list_providers().await;
    let variables: Vec<&str> = providers
        .iter()
        .flat_map(|overview| &overview.provider.descriptor().settings)
        .filter(|setting| setting.kind.is_secret())
        .flat_map(|setting| &setting.env)
        .filter(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
        .map(String::as_str)
        .collect();
    if !variables.is_empty() {
        places.push(format!("client secrets in this environment: {}. In a vault that is locked they would be out of reach: {{ secret = \"NAME\" }}.", variables.join(", ")));
    }
    if let Some(file) = config::file(options.config.as_deref()) {
        places.push(format!("{}: it can read it, and change what you allow.", file.display()));
    }
    if let Some(file) = patient.vault.file() {
        let (vault, config) = (Arc::clone(&patient.vault), patient.config.vault.clone());
        let looked = move || (vault.ready().is_ok(), Sqlite::find(&config).and_then(|vault| vault.opened_by()).ok());
        let (opens, by) = tokio::task::spawn_blocking(looked).await.unwrap_or_default();
        let file = file.display();
        places.push(match by.filter(|_| opens) {
            Some(by) => format!("everything in {file}: {}", at_hand(&by, patient)),
            None => format!("nothing in {file} as long as it is locked, but to delete it."),
        });
        places.push(
            "the audit trail: it can change or delete it. audit verify tells, unless the vault's key was at hand too.".to_owned(),
        );
    }
    if let Some(place) = memory() {
        places.push(place);
    }
    places
}

/// How a vault's key is at hand, and how to take it away.
fn at_hand(by: &OpenedBy, patient: &Patient) -> String {
    let rekey = patient.command("vault rekey --passphrase");
    match by {
        OpenedBy::Passphrase => format!("its key is at hand now. To take it away: {}", patient.command("vault lock")),
        OpenedBy::Command => {
            "its passphrase is what [vault] key_command prints. To keep it for yourself, take that line out of broker.toml."
                .to_owned()
        }
        OpenedBy::Keychain => {
            format!("its key is in your keychain, which is open now. Lock that; or, for a vault that you can lock: {rekey}")
        }
        OpenedBy::KeyFile(key) => format!("its key is the file {}. For a vault that you can lock: {rekey}", key.display()),
    }
}

/// Whether one process of a user may read the memory of another.
fn memory() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok();
    match scope.as_deref().map(str::trim) {
        None | Some("0") => Some(
            "the memory of a running broker, with a debugger. To close that: sudo sysctl kernel.yama.ptrace_scope=1".to_owned(),
        ),
        Some(_) => None,
    }
}
