//! Which providers can be signed in to, and what the others lack.

use super::named::{self, Stored};
use super::{Check, Patient, State};
use crate::providers::Provider;
use crate::providers::settings::{Given, given};

pub(super) async fn checks(patient: &Patient, stored: &Stored) -> Vec<Check> {
    let (providers, rejected) = patient.broker.list_providers().await;
    let mut ready = Vec::new();
    let mut checks = Vec::new();
    for overview in &providers {
        let descriptor = overview.provider.descriptor();
        let faults = named::settings(patient, &descriptor.name, &overview.provider.operator().settings, stored);
        if !faults.is_empty() {
            checks.extend(faults);
        } else if !descriptor.can_log_in() {
            continue;
        } else if overview.missing.is_empty() {
            ready.push(descriptor.title.as_str());
        } else if some_are_given(&overview.provider) {
            checks.push(Check::warning(
                "provider",
                format!("{} has some of its settings, but not {}.", descriptor.title, overview.missing.join(", ")),
                format!("Set it where the broker is started, or under [providers.{}] in broker.toml.", descriptor.name),
            ));
        }
    }
    checks.extend(rejected.iter().map(|error| Check::of("provider", State::Warning, error)));
    if !ready.is_empty() {
        checks.insert(0, Check::ok("providers", format!("Configured: {}.", ready.join(", "))));
    } else if checks.is_empty() {
        checks.push(Check::warning(
            "providers",
            "None is configured in this environment. Agents may start the broker with another one.",
            "Set the variables of one, such as GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET: mcp-credentials-broker providers list",
        ));
    }
    checks
}

fn some_are_given(provider: &Provider) -> bool {
    let settings = &provider.descriptor().settings;
    settings.iter().any(|setting| matches!(given(setting, provider.operator()), Given::File | Given::Environment(_)))
}
