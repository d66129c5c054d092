//! `logout`: ends a login at the provider, not only here.

use super::Options;
use super::output::{print_json, say, time};
use super::session::Session;
use crate::broker::revocation::{Revoked, Step};
use crate::error::Result;
use crate::mcp;
use crate::secret::Kind;

#[derive(Debug, clap::Args)]
pub(super) struct Logout {
    /// The login's name.
    name: String,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(logout: &Logout, options: &Options) -> Result<()> {
    Session::open(options, "logout")?.run(async |broker| {
        let revoked = broker.revoke_secret(&logout.name).await?;
        if logout.json {
            let mut document = mcp::shown_revocation(&revoked);
            document["name"] = revoked.name.as_str().into();
            print_json(&document)
        } else {
            say(&in_words(&revoked))
        }
    })
}

fn in_words(revoked: &Revoked) -> String {
    let mut text = format!("The login \"{}\" with {} is gone from here.", revoked.name, revoked.provider);
    for (kind, step) in &revoked.steps {
        let token = if *kind == Kind::Refresh { "Refresh token" } else { "Access token" };
        text.push_str(&format!("\n{token}: {}.", step.as_str()));
        if let Step::Failed(error) = step {
            text.push_str(&format!(" {}", error.message()));
        }
        let lives_on = *kind == Kind::Access && matches!(step, Step::Failed(_) | Step::NotSupported);
        if let Some(ends) = revoked.access_ends.filter(|_| lives_on) {
            text.push_str(&format!(" It ends by itself at {}.", time(ends)));
        }
    }
    text
}
