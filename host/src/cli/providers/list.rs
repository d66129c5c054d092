//! `providers list`: what there is, whose word it is that it may be used, and what cannot be used.

use clap::Args;
use serde_json::{Value, json};

use super::{print, providers};
use crate::cli::Options;
use crate::error::Result;
use crate::providers::{Approval, Listing, Origin, Provider, Unusable};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments, options: &Options) -> Result<()> {
    let listing = providers(options)?.list().await;
    print(&if arguments.json { format!("{:#}\n", as_json(&listing)) } else { as_table(&listing) })
}

/// Whose word it is that a provider may be used.
pub(super) fn approval(provider: &Provider) -> &'static str {
    match provider.origin() {
        None => "embedded",
        Some(Origin { approval: Approval::Lock { .. }, .. }) => "in the lock",
        Some(Origin { named: true, .. }) => "named in broker.toml",
        Some(Origin { .. }) => "in a folder that you named",
    }
}

fn state(provider: &Provider) -> String {
    match provider.missing() {
        _ if !provider.descriptor().can_log_in() => "no login".to_owned(),
        None => "configured".to_owned(),
        Some(missing) => missing.told(),
    }
}

fn as_json(listing: &Listing) -> Value {
    let providers = listing.providers.iter().map(|provider| {
        let descriptor = provider.descriptor();
        json!({
            "name": descriptor.name,
            "title": descriptor.title,
            "aliases": descriptor.aliases,
            "version": descriptor.version,
            "origin": provider.path().map_or_else(|| "embedded".to_owned(), |path| path.display().to_string()),
            "approval": approval(provider),
            "sha256": provider.sha256(),
            "grants": descriptor.grants,
            "configured": provider.missing().is_none(),
            "missing": provider.missing().map(|missing| missing.what).unwrap_or_default(),
        })
    });
    let unusable = listing.unusable.iter().map(|unusable| {
        json!({
            "path": unusable.path.as_ref().map(|path| path.display().to_string()),
            "name": unusable.name,
            "sha256": unusable.sha256,
            "inert": unusable.inert,
            "code": unusable.error.code().as_str(),
            "error": unusable.error.message(),
            "hint": unusable.error.hint(),
        })
    });
    json!({ "providers": providers.collect::<Vec<_>>(), "unusable": unusable.collect::<Vec<_>>() })
}

fn as_table(listing: &Listing) -> String {
    let mut out = String::new();
    for provider in &listing.providers {
        let descriptor = provider.descriptor();
        let names = std::iter::once(&descriptor.name).chain(&descriptor.aliases).cloned().collect::<Vec<_>>().join(", ");
        out.push_str(&format!("{names:16} {} {} ({})\n", descriptor.title, descriptor.version, approval(provider)));
        out.push_str(&format!("{:16} {}\n", "", state(provider)));
        if !descriptor.grants.is_empty() {
            out.push_str(&format!("{:16} grants {}\n", "", descriptor.grants.join(", ")));
        }
        if let Some(path) = provider.path() {
            out.push_str(&format!("{:16} {}\n", "", path.display()));
        }
        out.push_str(&format!("{:16} sha256 {}\n", "", provider.sha256()));
    }
    section(&mut out, "Not approved, and inert:", listing.unusable.iter().filter(|unusable| unusable.inert));
    section(&mut out, "Cannot be used:", listing.unusable.iter().filter(|unusable| !unusable.inert));
    out
}

fn section<'a>(out: &mut String, heading: &str, unusable: impl Iterator<Item = &'a Unusable>) {
    for (number, unusable) in unusable.enumerate() {
        if number == 0 {
            out.push_str(&format!("\n{heading}\n"));
        }
        out.push_str(&format!("\n  {}\n  {}\n", unusable.error.message(), unusable.error.hint()));
        if let Some(digest) = &unusable.sha256 {
            out.push_str(&format!("  sha256 {digest}\n"));
        }
    }
}
