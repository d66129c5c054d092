//! `http_request` and `read_response`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::answers::{self, success};
use super::arguments::Arguments;
use crate::broker::Broker;
use crate::broker::spending::answers::{Content, Part};
use crate::broker::spending::request::{Answer, Credential, Request};
use crate::error::{Code, Error, Result};

pub(super) async fn send(
    broker: &Broker,
    mut arguments: Arguments,
    context: &RequestContext<RoleServer>,
) -> Result<answers::Answer> {
    let request = Request {
        url: arguments.text("url")?,
        method: arguments.optional_text("method")?.unwrap_or_default(),
        headers: arguments.tags("headers")?,
        body: body(&mut arguments)?,
        credential: credential(&mut arguments)?,
    };
    arguments.end()?;
    tokio::select! {
        answer = broker.http_request(request) => Ok(shown(&answer?)),
        () = context.ct.cancelled() => Err(Error::new(
            Code::Cancelled,
            "The call was cancelled; the request may have been sent.",
            "Look whether it took effect before you send it again.",
        )),
    }
}

pub(super) fn read(broker: &Broker, mut arguments: Arguments) -> Result<answers::Answer> {
    let response_id = arguments.text("response_id")?;
    let offset = arguments.optional_number("offset")?.unwrap_or_default();
    arguments.end()?;
    let part = broker.read_response(&response_id, usize::try_from(offset).unwrap_or(usize::MAX))?;
    let mut members = Map::new();
    add(&mut members, &part);
    if part.next.is_some() {
        members.insert("response_id".to_owned(), response_id.into());
    }
    Ok(success(Value::Object(members)))
}

fn body(arguments: &mut Arguments) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let wrong = |what: &'static str, hint: &'static str| Error::new(Code::InvalidArgument, what, hint);
    match (arguments.optional_text("body")?, arguments.optional_text("body_base64")?) {
        (None, None) => Ok(None),
        (Some(text), None) => Ok(Some(Zeroizing::new(text.into_bytes()))),
        (None, Some(text)) => BASE64_STANDARD
            .decode(text)
            .map(|bytes| Some(Zeroizing::new(bytes)))
            .map_err(|_| wrong("body_base64 is no base64.", "Use the standard alphabet, with padding.")),
        (Some(_), Some(_)) => Err(wrong("There are two bodies.", "Give body or body_base64.")),
    }
}

fn credential(arguments: &mut Arguments) -> Result<Credential> {
    let (secret, reference) = (arguments.optional_text("secret")?, arguments.optional_text("reference_id")?);
    let purpose = arguments.optional_text("purpose")?;
    match (secret, reference) {
        (Some(name), None) => Ok(Credential::Secret { name, purpose: purpose.unwrap_or_default() }),
        // its purpose was said when it was asked for
        (None, Some(id)) => Ok(Credential::Reference(id)),
        _ => Err(Error::new(
            Code::InvalidArgument,
            "http_request needs exactly one of secret and reference_id.",
            "Give the name of a secret together with a purpose, or the id that get_secret gave.",
        )),
    }
}

fn shown(answer: &Answer) -> answers::Answer {
    let mut members = Map::new();
    members.insert("status".to_owned(), answer.status.into());
    let mut headers: Map<String, Value> = Map::new();
    for (name, value) in &answer.headers {
        match headers.get_mut(name) {
            // as RFC 9110 section 5.2 joins them
            Some(Value::String(before)) => before.push_str(&format!(", {value}")),
            _ => drop(headers.insert(name.clone(), value.as_str().into())),
        }
    }
    members.insert("headers".to_owned(), headers.into());
    add(&mut members, &answer.part);
    if let Some(id) = &answer.response_id {
        members.insert("response_id".to_owned(), id.as_str().into());
    }
    if answer.cut {
        members.insert("incomplete".to_owned(), true.into());
    }
    let mut message = Vec::new();
    message.extend(answer.note);
    if (300..400).contains(&answer.status) && answer.headers.iter().any(|(name, _)| name == "location") {
        message.push("This is a redirect, and was not followed. Where its location may be asked, ask it with http_request.");
    }
    if answer.cut {
        message.push("The server had more than 8 MiB; ask for less, with a page or a filter.");
    }
    if answer.part.next.is_some() {
        message.push("There is more: call read_response with response_id and offset = next_offset.");
    }
    if !message.is_empty() {
        members.insert("message".to_owned(), message.join(" ").into());
    }
    success(json!(members))
}

fn add(members: &mut Map<String, Value>, part: &Part) {
    let (name, text) = match &part.content {
        Content::Text(text) => ("body", text),
        Content::Base64(text) => ("body_base64", text),
    };
    members.insert(name.to_owned(), text.as_str().into());
    members.insert("offset".to_owned(), part.offset.into());
    members.insert("total".to_owned(), part.total.into());
    if let Some(next) = part.next {
        members.insert("next_offset".to_owned(), next.into());
    }
}
