//! What can be seen of a component without playing.

use std::sync::PoisonError;

use super::Subject;
use super::report::{Finding, Verdict};
use crate::descriptor::Role;
use crate::providers::dropin::{self, DropIn};
use crate::providers::embedded;
use crate::sandbox::CONTRACT_VERSION;

/// It is a component, of a contract that this broker speaks, and its descriptor makes sense: else there were no report.
pub(super) fn loaded(_: &DropIn) -> Finding {
    Finding {
        id: "describe",
        verdict: Verdict::Passed,
        what: "it loads, describes itself, and its table makes sense",
        seen: format!("contract {CONTRACT_VERSION}"),
        change: None,
    }
}

/// The grants that the descriptor names are the interfaces that the component exports.
pub(super) fn exports(drop_in: &DropIn) -> Vec<Finding> {
    let claims = |grant: &str| drop_in.descriptor.grants.iter().any(|known| known == grant);
    let pairs = [
        ("exports-refresh", "refresh_token", "Refresh", drop_in.prepared.can_refresh()),
        ("exports-device", "device_code", "Device", drop_in.prepared.can_start_device()),
    ];
    let judge = |(id, grant, capability, exported): (&'static str, &str, &str, bool)| {
        let (verdict, seen, change) = match (claims(grant), exported) {
            (true, false) => (
                Verdict::Failed,
                format!("the descriptor names the grant {grant}, but the component does not export that capability"),
                Some(format!("Implement {capability} and name it in export_provider!, or take {grant} out of \"grants\".")),
            ),
            (false, true) => (
                Verdict::Failed,
                format!("the component exports {capability}, but the descriptor does not name the grant {grant}"),
                Some(format!("Add \"{grant}\" to \"grants\" in the descriptor: operators read it there.")),
            ),
            (both, _) => (Verdict::Passed, format!("{} of the two", if both { "both" } else { "neither" }), None),
        };
        Finding { id, verdict, what: "the grants of the descriptor are the capabilities that are exported", seen, change }
    };
    pairs.into_iter().map(judge).collect()
}

/// A drop-in reads variables under its own prefix only.
pub(super) fn variables(drop_in: &DropIn) -> Finding {
    const WHAT: &str = "its variables begin with its own name";
    let name = &drop_in.descriptor.name;
    let finding = |verdict, seen: String, change| Finding { id: "variables", verdict, what: WHAT, seen, change };
    let official = |known: &embedded::Embedded| known.descriptor.name == *name;
    if embedded::all().iter().any(official) {
        return finding(Verdict::Passed, format!("{name} is the name of an official provider, whose variables are known"), None);
    }
    match dropin::check_claims(&drop_in.path, &drop_in.descriptor, |_| None, |_| false) {
        Ok(()) => finding(Verdict::Passed, "they do".to_owned(), None),
        Err(error) => finding(
            Verdict::Failed,
            error.message().to_owned(),
            Some(format!("Call them {}_…", name.to_ascii_uppercase().replace('-', "_"))),
        ),
    }
}

/// Endpoints of the table that nothing came to: an operator is asked to trust them all the same.
pub(super) fn unasked(subject: &Subject) -> Finding {
    let asked = subject.asked.lock().unwrap_or_else(PoisonError::into_inner);
    let played = |role: Role| !matches!(role, Role::Mint);
    let left: Vec<&str> = subject
        .descriptor()
        .endpoints
        .iter()
        .filter(|endpoint| played(endpoint.role) && !asked.contains(&endpoint.id))
        .map(|endpoint| endpoint.id.as_str())
        .collect();
    let (verdict, seen) = if left.is_empty() {
        (Verdict::Passed, "all of them".to_owned())
    } else {
        (Verdict::Note, format!("nothing came to {}: is each of them needed, under other settings perhaps?", left.join(", ")))
    };
    Finding { id: "endpoints", verdict, what: "every endpoint of the table is used", seen, change: None }
}
