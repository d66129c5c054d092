//! Hosts for which git could have its login from the broker, with the line that makes it ask.

use super::{Check, Patient, State};

/// One a host; none where the vault is locked, which is said elsewhere.
pub(super) async fn checks(patient: &Patient) -> Vec<Check> {
    let program = std::env::current_exe().unwrap_or_else(|_| "mcp-credentials-broker".into());
    let lines = if patient.vault.is_ready() { patient.broker.git_configuration(&program).await } else { Ok(Vec::new()) };
    let check = |(host, line): (String, String)| Check {
        check: "git",
        state: State::Ok,
        message: format!("git can have its login for {host} from the broker:"),
        remedy: Some(line),
    };
    lines.unwrap_or_default().into_iter().map(check).collect()
}
