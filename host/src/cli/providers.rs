//! `providers`: looks at components without trusting them.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Subcommand;

use crate::descriptor;
use crate::error::{Code, Error, Result};
use crate::providers::dropin;
use crate::sandbox::Sandbox;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Shows what a component says of itself: endpoints, settings, lifetimes.
    Inspect {
        /// The component.
        file: PathBuf,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Prints the JSON Schema of a descriptor.
    Schema,
}

pub(super) fn run(command: Command) -> Result<()> {
    match command {
        Command::Inspect { file, json } => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Error::new(Code::Internal, error.to_string(), "Try again."))?;
            let text = runtime.block_on(inspect(&file, json))?;
            print(&text)
        }
        Command::Schema => print(&descriptor::schema()),
    }
}

async fn inspect(file: &std::path::Path, json: bool) -> Result<String> {
    let (bytes, sha256) = dropin::read(file)?;
    let size = bytes.len();
    let found = dropin::load(file, bytes, sha256, &Sandbox::new(None)?).await?;
    let descriptor = &found.descriptor;
    if json {
        let document = serde_json::json!({
            "sha256": found.sha256,
            "bytes": size,
            "contract": crate::sandbox::CONTRACT_VERSION,
            "refresh": found.prepared.can_refresh(),
            "descriptor": descriptor,
        });
        return Ok(format!("{document:#}\n"));
    }
    let mut out =
        format!("{} ({}) {}, {size} bytes, sha256 {}\n", descriptor.title, descriptor.name, descriptor.version, found.sha256);
    for endpoint in &descriptor.endpoints {
        out.push_str(&format!("\n{:13} {} {} ({:?})\n", endpoint.id, endpoint.method, endpoint.url, endpoint.role));
        for (slot, kinds) in &endpoint.slots {
            out.push_str(&format!("              {slot} <- {}\n", kinds.join(", ")));
        }
        for pointer in &endpoint.readable {
            out.push_str(&format!("              may read {pointer}\n"));
        }
        for header in &endpoint.readable_headers {
            out.push_str(&format!("              may read the header {header}\n"));
        }
        for (pointer, kind) in &endpoint.secrets {
            out.push_str(&format!("              takes {pointer} for a secret of the kind {kind}\n"));
        }
    }
    for scope in &descriptor.scopes.may_add {
        out.push_str(&format!("\nmay add the scope {scope}\n"));
    }
    for setting in &descriptor.settings {
        let default = setting.default.as_ref().map_or_else(String::new, |default| format!(" Default: {default}"));
        out.push_str(&format!("\nsetting {:20} {} {}{default}\n", setting.name, setting.env.join(", "), setting.about));
    }
    Ok(out)
}

/// Standard output may be a closed pipe: that is the reader's business, not an error.
fn print(text: &str) -> Result<()> {
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}
