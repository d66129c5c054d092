//! `request`: the same as the agent's http_request, for people and scripts. The answer's body goes to standard output,
//! without the secret.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::Path;

use clap::Args;
use zeroize::Zeroizing;

use super::session::Session;
use crate::broker::spending::request::{Answer, Credential, MAX_BODY, Request};
use crate::error::{Code, Error, Result};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The secret to spend.
    #[arg(long, value_name = "NAME")]
    secret: String,
    /// What it is for, for the audit trail.
    #[arg(long, value_name = "TEXT", default_value = "the request command")]
    purpose: String,
    /// The method.
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
    method: String,
    /// A header, as "NAME: VALUE"; may be given more than once.
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// The body: text, @FILE, or @- for standard input.
    #[arg(short = 'd', long, value_name = "DATA")]
    data: Option<String>,
    /// Prints status and headers before the body.
    #[arg(short, long)]
    include: bool,
    /// The address, https://HOST/PATH?QUERY.
    url: String,
}

pub(super) fn run(options: Options, common: &super::Options) -> Result<()> {
    let request = Request {
        method: options.method,
        url: options.url,
        headers: options.headers.iter().map(|header| pair(header)).collect::<Result<BTreeMap<_, _>>>()?,
        body: options.data.as_deref().map(body).transpose()?,
        credential: Credential::Secret { name: options.secret, purpose: options.purpose },
    };
    let answer = Session::open(common, "request")?
        .run(async |broker| broker.http_request(request).await.map_err(|error| broker.redacted(error)))?;
    show(&answer, options.include);
    if answer.status < 400 {
        return Ok(());
    }
    Err(Error::new(
        Code::ProviderError,
        format!("The server answered with {}.", answer.status),
        "Its answer is on standard output.",
    ))
}

fn pair(header: &str) -> Result<(String, String)> {
    let (name, value) = header.split_once(':').ok_or_else(|| {
        Error::new(Code::InvalidArgument, "A header has no colon.", "Write it as -H \"accept: application/json\".")
    })?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

fn body(data: &str) -> Result<Zeroizing<Vec<u8>>> {
    let Some(file) = data.strip_prefix('@') else { return Ok(Zeroizing::new(data.as_bytes().to_vec())) };
    let mut bytes = Zeroizing::new(Vec::new());
    let most = MAX_BODY as u64 + 1;
    let read = if file == "-" {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(Path::new(file)).and_then(|opened| opened.take(most).read_to_end(&mut bytes))
    };
    read.map_err(|error| {
        Error::new(Code::InvalidArgument, format!("The body cannot be read: {error}."), "Name a readable file: --data @body.json")
    })?;
    Ok(bytes)
}

/// Standard output may be a closed pipe: that is the reader's business, not an error.
fn show(answer: &Answer, include: bool) {
    let mut out = std::io::stdout().lock();
    if include {
        let _ = writeln!(out, "HTTP {}", answer.status);
        for (name, value) in &answer.headers {
            let _ = writeln!(out, "{name}: {value}");
        }
        let _ = writeln!(out);
    }
    let _ = out.write_all(answer.body.bytes()).and_then(|()| out.flush());
    drop(out);
    let location = answer.headers.iter().find(|(name, _)| name == "location").map(|(_, value)| value.as_str());
    if let (300..400, Some(location)) = (answer.status, location) {
        eprintln!("HTTP {}: a redirect to {location}, not followed.", answer.status);
    }
    if let Some(note) = answer.note {
        eprintln!("{note}");
    }
    if answer.cut {
        eprintln!("The server had more than 8 MiB; this is the beginning.");
    }
}
