//! One request with a credential that the agent does not see.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use zeroize::Zeroizing;

use super::answers::{Body, Part};
use super::limits::Limits;
use super::place::{AtLogin, Places};
use super::target::Target;
use super::{answers, headers};
use crate::audit::{Audit, Event, Outcome};
use crate::broker::Broker;
use crate::broker::secrets::{Held, check_purpose};
use crate::config::SecretRule;
pub use crate::config::secrets::METHODS;
use crate::egress::{Incoming, Outgoing};
use crate::error::{Code, Error, Result};
use crate::redaction::Shapes;
use crate::secret::{Secret, SecretName};
use crate::vault::{Generation, Grant, Stored};

/// The longest body of a request, in bytes.
pub const MAX_BODY: usize = 8 << 20;
/// How much of an answer is read, in bytes.
pub const MAX_ANSWER: usize = 8 << 20;
/// How long a request may take. Clients give a call up after 60 seconds, and one refresh may come on top.
const TIMEOUT: Duration = Duration::from_secs(40);

/// What http_request asks for.
#[derive(Clone, Default)]
pub struct Request {
    /// The method, in capital letters; empty: GET.
    pub method: String,
    /// The address.
    pub url: String,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Option<Zeroizing<Vec<u8>>>,
    /// What to spend.
    pub credential: Credential,
}

/// Not derived: what an agent sends is between it and the server.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Request({} with {:?})", self.method, self.credential)
    }
}

/// What to spend.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A secret by its name, with what it is for.
    Secret {
        /// The name.
        name: String,
        /// What it is for.
        purpose: String,
    },
    /// A reference, which has its purpose.
    Reference(String),
}

impl Default for Credential {
    fn default() -> Self {
        Self::Reference(String::new())
    }
}

/// An answer without anything secret in it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers that are shown, in the order in which they came; repeated ones as they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
    /// The first part of it.
    pub part: Part,
    /// Under which id the rest is kept, if there is more.
    pub response_id: Option<String>,
    /// Whether the server had more than is read.
    pub cut: bool,
    /// What else is to be said: why the body is not shown, that the token was renewed.
    pub note: Option<&'static str>,
}

/// A secret that is ready to be spent.
struct Ready {
    name: SecretName,
    generation: Generation,
    value: Secret,
    grant: Option<Arc<Grant>>,
    /// The provider's own beginnings of tokens.
    prefixes: Vec<String>,
}

/// What the audit trail is told when it is over: also where nobody waits for the answer any longer, since a cancelled call or
/// the end of the process does not take back what was sent.
struct Trail<'a> {
    audit: &'a Audit,
    outcome: Outcome,
    code: Option<Code>,
    reference: Option<String>,
    secret: Option<String>,
    provider: Option<String>,
    purpose: Option<String>,
    destination: Option<String>,
    uses: Option<u64>,
}

impl<'a> Trail<'a> {
    /// Cancelled, until something else came of it.
    const fn new(audit: &'a Audit, reference: Option<String>) -> Self {
        Self {
            audit,
            outcome: Outcome::Failed,
            code: Some(Code::Cancelled),
            reference,
            secret: None,
            provider: None,
            purpose: None,
            destination: None,
            uses: None,
        }
    }
}

impl Drop for Trail<'_> {
    fn drop(&mut self) {
        self.audit.record(Event {
            event: "http_request",
            outcome: self.outcome,
            secret: self.secret.as_deref(),
            reference: self.reference.as_deref(),
            provider: self.provider.as_deref(),
            purpose: self.purpose.as_deref(),
            destination: self.destination.as_deref(),
            uses: self.uses,
            code: self.code,
            ..Event::default()
        });
    }
}

impl Broker {
    /// Sends a request with a credential, where the provider and the operator allow it, and gives the answer without it.
    ///
    /// # Errors
    /// `invalid_argument`, `not_allowed`, `unknown_secret`, `unknown_reference`, `sign_in_again`: nothing was sent.
    /// `unavailable` where there is no answer. An answer with an error status is an answer.
    pub async fn http_request(&self, request: Request) -> Result<Answer> {
        let reference = match &request.credential {
            Credential::Reference(id) => Some(id.clone()),
            Credential::Secret { .. } => None,
        };
        let mut trail = Trail::new(&self.audit, reference);
        let done = self.spend(request, &mut trail).await;
        trail.outcome = match &done {
            Ok(_) => Outcome::Ok,
            Err(error) if matches!(error.code(), Code::Unavailable | Code::Internal) => Outcome::Failed,
            Err(_) => Outcome::Refused,
        };
        trail.code = done.as_ref().err().map(Error::code);
        done
    }

    /// Another part of an answer that was shown in part.
    ///
    /// # Errors
    /// `unknown_reference` where it is no longer kept, `invalid_argument` for an offset that is none.
    pub fn read_response(&self, response_id: &str, offset: usize) -> Result<Part> {
        self.answers().get(response_id)?.part(offset)
    }

    async fn spend(&self, request: Request, trail: &mut Trail<'_>) -> Result<Answer> {
        // Everything that needs no secret comes first.
        let method = method(&request.method)?;
        let target = Target::parse(&request.url)?;
        trail.destination = Some(format!("{method} {}", target.host()));
        if request.body.as_ref().is_some_and(|body| body.len() > MAX_BODY) {
            return Err(Error::new(Code::Limit, "The body has more than 8 MiB.", "Send it in parts, if the API can take them."));
        }
        let (held, limits) = match &request.credential {
            Credential::Secret { name, purpose } => {
                trail.secret = Some(name.clone());
                trail.purpose = Some(check_purpose(purpose)?.to_owned());
                (self.held_by_name(name)?, Limits::default())
            }
            Credential::Reference(id) => {
                let (held, reference) = self.held_by_reference(id)?;
                trail.purpose = Some(reference.purpose.to_string());
                (held, Limits::clone(&reference.limits))
            }
        };
        trail.secret = Some(held.name.to_string());
        let rule = self.policies.rule(&held.name).cloned().unwrap_or_default();
        limits.allow_request(&target, method.as_str())?;
        check_method(&rule, &method)?;
        let (places, prefixes) = self.destinations(&held, trail).await?;
        places.judge(&target).map_err(|error| name_it(error, &held.name))?;
        self.egress.check_url(target.url()).map_err(Error::from)?;
        let given = headers::request(&request.headers, &rule.inject, &rule.headers)?;
        let ready = self.ready_to_spend(held, prefixes).await?;
        let mut full = given.clone();
        headers::inject(&mut full, &rule.inject, &ready.value)?;
        if let Credential::Reference(id) = &request.credential {
            trail.uses = Some(self.references().use_up(id)?);
        }

        let safe = matches!(method, Method::GET | Method::HEAD);
        let outgoing = |headers, body| Outgoing {
            method: method.clone(),
            url: target.url().clone(),
            headers,
            body,
            limit: MAX_ANSWER,
            cut: true,
            timeout: TIMEOUT,
            keep: safe,
        };
        self.known.add_spent(&ready.name, &ready.value);
        let body_again = if safe { request.body.clone() } else { None };
        let incoming = self.egress.send(outgoing(full, request.body)).await?;
        if incoming.status != 401 {
            return self.answer(&incoming, &ready.prefixes, None);
        }
        match self.renewed(&ready).await? {
            Some(fresh) if safe => {
                let mut full = given;
                headers::inject(&mut full, &rule.inject, &fresh)?;
                self.known.add_spent(&ready.name, &fresh);
                let again = self.egress.send(outgoing(full, body_again)).await?;
                self.answer(&again, &ready.prefixes, Some("The first try was answered with 401; the token was renewed and the request sent once more."))
            }
            Some(_) => self.answer(
                &incoming,
                &ready.prefixes,
                Some("The token was refused and has been renewed. The request was not repeated, since it may change something: call again."),
            ),
            None => self.answer(&incoming, &ready.prefixes, None),
        }
    }

    /// Where a secret may be spent, and the beginnings of its provider's tokens.
    async fn destinations(&self, held: &Held, trail: &mut Trail<'_>) -> Result<(Places, Vec<String>)> {
        let rule = self.policies.rule(&held.name);
        let Stored::Grant(grant) = &held.record.stored else { return Ok((Places::of_value(rule), Vec::new())) };
        trail.provider = Some(grant.provider.clone());
        let provider = self.providers.get(&grant.provider).await?;
        if !provider.owns(&grant.lineage) {
            return Err(Error::new(
                Code::SignInAgain,
                format!(
                    "The component of {} is another one than the one that \"{}\" was signed in with.",
                    grant.provider, held.name
                ),
                format!("Call start_oauth_flow with provider \"{}\" and secret_name \"{}\".", grant.provider, held.name),
            ));
        }
        let descriptor = provider.descriptor();
        let setting = |name: &str| grant.settings.get(name).map(String::as_str);
        let resolved = |name: &str| grant.resolved.get(name).map(String::as_str);
        let places = Places::of_login(descriptor, &AtLogin { setting: &setting, resolved: &resolved }, rule);
        Ok((places, descriptor.token_prefixes.clone()))
    }

    async fn ready_to_spend(&self, held: Held, prefixes: Vec<String>) -> Result<Ready> {
        let generation = held.record.generation;
        let (value, grant) = match held.record.stored {
            Stored::Static(value) => (value, None),
            Stored::Grant(grant) => {
                let grant = self.usable(&held.name, generation, grant).await?;
                (grant.access.clone(), Some(grant))
            }
        };
        Ok(Ready { name: held.name, generation, value, grant, prefixes })
    }

    /// Another access token than the one that was refused; `None` where there is none to be had.
    async fn renewed(&self, refused: &Ready) -> Result<Option<Secret>> {
        let Some(grant) = refused.grant.as_ref().filter(|grant| grant.refresh.is_some()) else { return Ok(None) };
        match self.renew_after_rejection(&refused.name, refused.generation, grant).await {
            Ok(fresh) => Ok(Some(fresh.access.clone())),
            Err(error) if error.code() == Code::SignInAgain => Err(error),
            // What the server said is worth more than that it could not be helped.
            Err(_) => Ok(None),
        }
    }

    /// The answer without anything secret.
    fn answer(&self, incoming: &Incoming, prefixes: &[String], note: Option<&'static str>) -> Result<Answer> {
        let redactor = self.redactor()?;
        let shapes = (!prefixes.is_empty()).then(|| Shapes::new(prefixes));
        let shaped = |known: Vec<u8>| match &shapes {
            Some(shapes) => shapes.redact(&known),
            None => known,
        };
        let redact = |bytes: &[u8]| shaped(redactor.redact(bytes));
        let plain = incoming.headers.get_all("content-encoding").iter().all(|coding| coding == "identity" || coding.is_empty());
        let shown = headers::shown(&incoming.headers)
            .into_iter()
            .map(|(name, value)| (name, String::from_utf8_lossy(&redact(&value)).into_owned()))
            .collect();
        let (body, note) = if !plain && !incoming.body.is_empty() {
            let why =
                "The body is compressed, though it was asked for as it is: it cannot be searched for secrets, and is not shown.";
            (Vec::new(), Some(why))
        } else if incoming.cut {
            (shaped(redactor.redact_beginning(&incoming.body)), note)
        } else {
            (redact(&incoming.body), note)
        };
        let body = Body::new(body);
        let part = body.part(0)?;
        let response_id = part.next.map(|_| self.answers().keep(body.clone()));
        Ok(Answer { status: incoming.status, headers: shown, body, part, response_id, cut: incoming.cut, note })
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, answers::Kept> {
        self.answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn method(text: &str) -> Result<Method> {
    let text = if text.is_empty() { "GET" } else { text };
    let known = METHODS.contains(&text).then(|| Method::from_bytes(text.as_bytes()).ok()).flatten();
    known.ok_or_else(|| {
        Error::new(
            Code::InvalidArgument,
            "This is no method that a request with a credential may have.",
            format!("Use one of {}, in capital letters.", METHODS.join(", ")),
        )
    })
}

fn check_method(rule: &SecretRule, method: &Method) -> Result<()> {
    let Some(methods) = rule.methods.as_ref().filter(|methods| !methods.iter().any(|allowed| allowed == method.as_str())) else {
        return Ok(());
    };
    Err(Error::new(
        Code::NotAllowed,
        format!("The operator's file allows this secret in other requests than {method}."),
        format!("Its methods are: {}.", methods.join(", ")),
    ))
}

/// The line that the operator would add has the secret's own name.
fn name_it(error: Error, name: &SecretName) -> Error {
    let hint = error.hint().replace("\"NAME\"", &format!("\"{name}\""));
    error.with_hint(hint)
}
