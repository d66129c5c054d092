//! `providers remove`: takes an approval back.

use clap::Args;

use super::{print, providers};
use crate::cli::Options;
use crate::error::Result;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The component's name.
    name: String,
}

pub(super) async fn run(arguments: &Arguments, options: &Options) -> Result<()> {
    let withdrawn = providers(options)?.withdraw(&arguments.name).await?;
    let mut out = format!("{} is no longer approved. Logins made with it stay where they are, unused.\n", arguments.name);
    for path in &withdrawn.deleted {
        out.push_str(&format!("Deleted: {}\n", path.display()));
    }
    for path in &withdrawn.still_used {
        out.push_str(&format!(
            "Still used, since your configuration names where it lies: {}. Take it out of there; or say require_lock = true.\n",
            path.display()
        ));
    }
    print(&out)
}
