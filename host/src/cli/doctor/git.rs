//! Hosts for which git could have its login from the broker, with the line that makes it ask.

use super::named::Stored;
use super::{Check, Patient, State};
use crate::cli::quoted;

/// One a host; none where the vault is locked or has no such secret, which is said elsewhere.
pub(super) async fn checks(patient: &Patient, stored: &Stored) -> Vec<Check> {
    let program = std::env::current_exe().unwrap_or_else(|_| "mcp-credentials-broker".into());
    let command = format!("{}{}", quoted(&program), patient.given);
    if patient.vault.file().is_none() {
        // Git's own process finds nothing of what this one would know.
        let check = |host: &String| {
            let message = format!("[git] \"{host}\": There is no vault that git's login could come from.");
            Check::warning("git", message, patient.command("vault init"))
        };
        return patient.config.doors.git.keys().map(check).collect();
    }
    let lines = if patient.vault.is_ready() { patient.broker.git_configuration(&command).await } else { Ok(Vec::new()) };
    let check = |(host, line): (String, String)| Check {
        check: "git",
        state: State::Ok,
        message: format!("git can have its login for {host} from the broker:"),
        remedy: Some(line),
    };
    let is_there =
        |(host, _): &(String, String)| patient.config.doors.git.get(host).is_none_or(|git| !stored.lacks(git.secret.as_str()));
    lines.unwrap_or_default().into_iter().filter(is_there).map(check).collect()
}
