//! `providers inspect`: what a component is and asks for, before anybody trusts it, and how it is set up here.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::list::approval;
use super::{print, providers};
use crate::cli::Options;
use crate::config;
use crate::error::Result;
use crate::providers::capabilities::{Inspection, Line, lines};
use crate::providers::settings::{Given, given};
use crate::providers::{Providers, dropin, file};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// A component's file, or the name of a provider that there is.
    #[arg(value_name = "FILE|NAME")]
    subject: String,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// A component, and how it stands here.
struct Subject {
    inspection: Inspection,
    from: String,
    approval: String,
    operator: config::Provider,
}

pub(super) async fn run(arguments: &Arguments, options: &Options) -> Result<()> {
    let providers = providers(options)?;
    let path = PathBuf::from(&arguments.subject);
    let subject = if is_file(&arguments.subject) {
        of_file(&path, &providers, options).await?
    } else {
        of_name(&arguments.subject, &providers).await?
    };
    print(&if arguments.json { format!("{:#}\n", as_json(&subject)) } else { as_table(&subject) })
}

/// Names have no dots and no separators.
pub(super) fn is_file(subject: &str) -> bool {
    subject.contains(['.', '/', '\\']) || Path::new(subject).is_file()
}

async fn of_file(path: &Path, providers: &Providers, options: &Options) -> Result<Subject> {
    let found = dropin::load(path, file::look_at(path)?, providers.sandbox().await?).await?;
    let name = &found.descriptor.name;
    let lock = providers.approvals().map(|approvals| approvals.read()).transpose()?;
    let approval = match lock.as_ref().and_then(|lock| lock.plugins.get(name)) {
        Some(approved) if approved.sha256 == found.sha256 => format!("in the lock since {}", approved.approved),
        Some(approved) => format!("not approved: the lock has other bytes under {name}, sha256 {}", approved.sha256),
        None => "not in the lock".to_owned(),
    };
    let operator = config::load(options.config.as_deref())?.providers.remove(name).unwrap_or_default();
    Ok(Subject { inspection: found.inspection(), from: path.display().to_string(), approval, operator })
}

async fn of_name(name: &str, providers: &Providers) -> Result<Subject> {
    let provider = providers.get(name).await?;
    let bytes = providers.bytes(&provider).await?;
    let from = provider.path().map_or_else(|| "embedded".to_owned(), |path| path.display().to_string());
    let prepared = providers.prepared(&provider).await?;
    let inspection = Inspection {
        sha256: provider.sha256().to_owned(),
        bytes: bytes.len() as u64,
        make: prepared.make().clone(),
        descriptor: provider.descriptor().as_ref().clone(),
    };
    Ok(Subject { inspection, from, approval: approval(&provider).to_owned(), operator: provider.operator().clone() })
}

/// Where each setting comes from, never what it is.
fn configured(subject: &Subject) -> Vec<(String, String)> {
    let settings = subject.inspection.descriptor.settings.iter();
    let told = settings.map(|setting| {
        let from = match given(setting, &subject.operator) {
            Given::File => "set in broker.toml".to_owned(),
            Given::Environment(variable) => format!("set by {variable}"),
            Given::Default => "its default".to_owned(),
            Given::Not if setting.required => "not set, and needed".to_owned(),
            Given::Not => "not set".to_owned(),
        };
        (setting.name.clone(), from)
    });
    told.collect()
}

fn as_json(subject: &Subject) -> Value {
    let mut document = serde_json::to_value(&subject.inspection).unwrap_or_default();
    document["from"] = json!(subject.from);
    document["approval"] = json!(subject.approval);
    document["configured"] =
        configured(subject).into_iter().map(|(name, from)| (name, Value::from(from))).collect::<serde_json::Map<_, _>>().into();
    document
}

fn as_table(subject: &Subject) -> String {
    let inspection = &subject.inspection;
    let mut out = format!("{}\n", summary(inspection));
    out.push_str(&format!("  from      {}\n  approval  {}\n", subject.from, subject.approval));
    out.push_str(&table(&lines(&inspection.make, &inspection.descriptor)));
    let configured = configured(subject);
    if !configured.is_empty() {
        out.push_str("\nsettings, as they are here\n");
        for (name, from) in configured {
            out.push_str(&format!("  {name:22} {from}\n"));
        }
    }
    out
}

/// What tells this component from any other.
pub(super) fn summary(inspection: &Inspection) -> String {
    let descriptor = &inspection.descriptor;
    format!(
        "{} ({}) {}\n  sha256    {}\n  size      {} bytes",
        descriptor.title, descriptor.name, descriptor.version, inspection.sha256, inspection.bytes
    )
}

/// Facts under their headings.
pub(super) fn table(lines: &[Line]) -> String {
    let mut out = String::new();
    let mut heading = "";
    for line in lines {
        if line.heading != heading {
            out.push_str(&format!("\n{}\n", line.heading));
            heading = &line.heading;
        }
        out.push_str(&format!("  {}\n", line.text));
    }
    out
}
