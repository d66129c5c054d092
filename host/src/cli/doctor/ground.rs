//! Configuration and callback port.

use super::{Check, Patient, State};
use crate::callback;
use crate::cli::Options;
use crate::config::{self, LoopbackPort, Permission};

/// The file was read already, or nobody would be here.
pub(super) fn configuration(options: &Options) -> Check {
    let Some(file) = config::file(options.config.as_deref()) else {
        let place = config::place(options.config.as_deref()).map_or_else(String::new, |file| format!(" {}", file.display()));
        return Check::ok("configuration", format!("There is no file{place}; defaults and environment variables count."));
    };
    let name = file.display();
    if config::others_can_read(&file) {
        return Check::warning(
            "configuration",
            format!("{name} can be read by other users of this machine, and may hold client secrets."),
            format!("chmod 600 '{name}'"),
        );
    }
    Check::ok("configuration", format!("{name} is read."))
}

pub(super) async fn callback(patient: &Patient) -> Check {
    let url = &patient.config.callback.url;
    match callback::probe(url).await {
        Ok(()) => Check::ok("callback", format!("{url} is free, and listened at only while somebody signs in.")),
        Err(error) => {
            let any_port = patient.config.providers.values().any(|provider| provider.loopback_port == LoopbackPort::Any);
            Check::of("callback", if any_port { State::Warning } else { State::Problem }, &error)
        }
    }
}

/// What agents are shown. Allowed is what the predecessor did, and no fault; who does not want it has to know.
pub(super) fn reveal(patient: &Patient) -> Check {
    match patient.config.policy.reveal {
        Permission::Allow => Check {
            remedy: Some("To keep them from agents: reveal = \"deny\" under [policy] in broker.toml.".to_owned()),
            ..Check::ok("reveal", "Agents get values and access tokens from resolve_secret.")
        },
        Permission::Deny => Check::ok("reveal", "Agents get no values; they work with references."),
    }
}
