//! `request`: the same as the agent's http_request, for people and scripts. The answer's body goes to standard output,
//! without the secret.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::output::{print_json, put};
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
    /// As JSON, for programs: status, headers and body.
    #[arg(long, conflicts_with = "include")]
    json: bool,
    /// The address, https://HOST/PATH?QUERY.
    url: String,
}

pub(super) fn run(options: Options, common: &super::Options) -> Result<()> {
    let (secret, url) = (options.secret.clone(), options.url.clone());
    let request = Request {
        method: options.method,
        url: options.url,
        headers: options.headers.iter().map(|header| pair(header)).collect::<Result<BTreeMap<_, _>>>()?,
        body: options.data.as_deref().map(body).transpose()?,
        credential: Credential::Secret { name: options.secret, purpose: options.purpose },
    };
    let answer = Session::open(common, "request")?
        .run(async |broker| broker.http_request(request).await.map_err(|error| broker.redacted(error)))
        .map_err(|error| with_the_line(error, &secret, &url))?;
    if options.json {
        print_json(&as_json(&answer))?;
    } else {
        put(&as_text(&answer, options.include, std::io::stdout().is_terminal()))?;
        remark(&answer);
    }
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

/// The line of the operator's file that would allow it, whole: who typed the host may list it. An agent is shown none of
/// its own choosing.
fn with_the_line(error: Error, secret: &str, url: &str) -> Error {
    let Ok(url) = Url::parse(url) else { return error };
    let Some(host) = url.host_str() else { return error };
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let hint = error.hint().replace("\"NAME\"", &format!("\"{secret}\"")).replace("\"api.example.com\"", &format!("\"{host}\""));
    error.with_hint(hint)
}

/// A terminal's next line begins at its left.
fn as_text(answer: &Answer, include: bool, terminal: bool) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::new());
    if include {
        text.extend(format!("HTTP {}\n", answer.status).bytes());
        answer.headers.iter().for_each(|(name, value)| text.extend(format!("{name}: {value}\n").bytes()));
        text.push(b'\n');
    }
    let body = answer.body.bytes();
    text.extend_from_slice(body);
    if terminal && body.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    text
}

/// All of the body, as a text or in base64.
fn as_json(answer: &Answer) -> Value {
    let mut headers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in &answer.headers {
        headers.entry(name).or_default().push(value);
    }
    // as RFC 9110 section 5.2 joins them
    let headers: BTreeMap<&str, String> = headers.into_iter().map(|(name, values)| (name, values.join(", "))).collect();
    let body = answer.body.bytes();
    let mut document = json!({ "status": answer.status, "headers": headers, "total": body.len() });
    match std::str::from_utf8(body) {
        Ok(text) => document["body"] = text.into(),
        Err(_) => document["bodyBase64"] = BASE64_STANDARD.encode(body).into(),
    }
    if answer.cut {
        document["incomplete"] = true.into();
    }
    if let Some(note) = answer.note {
        document["note"] = note.into();
    }
    document
}

fn remark(answer: &Answer) {
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
