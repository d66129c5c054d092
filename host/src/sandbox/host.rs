//! What the contract's imports do.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Result;
use wasmtime::component::Resource;

use super::Reached;
use super::answer::Answer;
use super::bindings::host;
use super::draft::Draft;
use super::handles::{SecretHandle, TokenDraft};
use super::state::{Arguments, Context, State};
use crate::descriptor::Role;
use crate::descriptor::template::Template;
use crate::egress::Outgoing;
use crate::error::{Code, Error, foreign};
use crate::secret::Kind;

/// How much larger a metadata document may be than another endpoint's answer, all of which is searched for every secret.
const METADATA_FACTOR: usize = 4;
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest text that a component may hand over in one argument, in bytes.
const TEXT_LIMIT: usize = 64 * 1024;

impl State {
    /// Counts a call of the host; traps in `describe`, which must be pure, and where a component does nothing else.
    fn enter(&mut self) -> Result<()> {
        if self.context.is_none() {
            return Err(wasmtime::Error::msg("describe must not use the host"));
        }
        self.host_calls += 1;
        if self.host_calls > self.limits.host_calls {
            return Err(wasmtime::Error::msg(format!("more than {} calls of the host", self.limits.host_calls)));
        }
        Ok(())
    }

    /// Counts texts that the host is going to keep.
    fn keep(&mut self, texts: &[&str]) -> Result<()> {
        if texts.iter().any(|text| text.len() > TEXT_LIMIT) {
            return Err(wasmtime::Error::msg(format!("a text of more than {TEXT_LIMIT} bytes")));
        }
        self.keep_bytes(texts.iter().map(|text| text.len()).sum())
    }

    fn keep_bytes(&mut self, bytes: usize) -> Result<()> {
        self.kept = self.kept.saturating_add(bytes);
        if self.kept > self.limits.kept_bytes {
            return Err(wasmtime::Error::msg(format!("more than {} bytes to keep", self.limits.kept_bytes)));
        }
        Ok(())
    }

    fn context(&self) -> Result<&Context> {
        self.context.as_ref().ok_or_else(|| wasmtime::Error::msg("describe must not use the host"))
    }

    fn blame(&mut self, fault: impl Into<String>) {
        self.fault.get_or_insert_with(|| fault.into());
    }

    fn name(&self) -> &str {
        self.context.as_ref().map_or("?", |context| context.descriptor.name.as_str())
    }
}

fn failure(code: &str, message: &str) -> host::Failure {
    host::Failure { code: code.to_owned(), message: message.to_owned(), details: Vec::new() }
}

impl host::Host for State {
    fn setting(&mut self, name: String) -> Result<Option<String>> {
        self.enter()?;
        let context = self.context()?;
        let declared = context.descriptor.setting(&name).is_some_and(|setting| !setting.kind.is_secret());
        Ok(declared.then(|| context.settings.plain(&name).map(str::to_owned)).flatten())
    }

    fn setting_secret(&mut self, name: String) -> Result<Option<Resource<SecretHandle>>> {
        self.enter()?;
        let context = self.context()?;
        let Some(secret) = context.settings.secret(&name).cloned() else { return Ok(None) };
        let kind = if name == "client_secret" { Kind::ClientSecret } else { Kind::Key };
        Ok(Some(self.table.push(SecretHandle::given(secret, kind))?))
    }

    fn resolved(&mut self, name: String) -> Result<Option<String>> {
        self.enter()?;
        Ok(self.context()?.resolved.get(&name).cloned())
    }

    fn log(&mut self, level: String, message: String) -> Result<()> {
        self.enter()?;
        self.log_lines += 1;
        if self.log_lines > self.limits.log_lines {
            return Ok(());
        }
        if message.len() > TEXT_LIMIT {
            return Err(wasmtime::Error::msg(format!("a line of more than {TEXT_LIMIT} bytes")));
        }
        // The component has a clock, and the text is its own.
        self.scrubber.make_all_forms();
        let message = if self.scrubber.finds(&message) { "[a line that held a secret]".to_owned() } else { foreign(&message) };
        let provider = self.name();
        match level.as_str() {
            "error" => tracing::error!(provider, component = message),
            "warn" => tracing::warn!(provider, component = message),
            "info" => tracing::info!(provider, component = message),
            _ => tracing::debug!(provider, component = message),
        }
        Ok(())
    }
}

impl host::HostSecret for State {
    fn kind(&mut self, this: Resource<SecretHandle>) -> Result<String> {
        self.enter()?;
        Ok(self.table.get(&this)?.kind.as_str().to_owned())
    }

    fn duplicate(&mut self, this: Resource<SecretHandle>) -> Result<Resource<SecretHandle>> {
        self.enter()?;
        let copy = self.table.get(&this)?.clone();
        Ok(self.table.push(copy)?)
    }

    fn drop(&mut self, this: Resource<SecretHandle>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl host::HostRequest for State {
    fn new(&mut self, endpoint: String, arguments: Vec<(String, String)>) -> Result<Resource<Draft>> {
        self.enter()?;
        for (name, value) in &arguments {
            self.keep(&[name, value])?;
        }
        let context = self.context()?;
        let target = match context.descriptor.listed(&endpoint) {
            None => Err(format!("its table has no endpoint {}", foreign(&endpoint))),
            Some(found) => Template::parse(&found.url)
                .and_then(|template| {
                    template.fill(&Arguments { context, arguments: &arguments }).map_err(|error| error.to_string())
                })
                .map(|url| (found, url)),
        };
        Ok(self.table.push(Draft::new(target))?)
    }

    fn header(&mut self, this: Resource<Draft>, name: String, value: String) -> Result<()> {
        self.enter()?;
        self.keep(&[&name, &value])?;
        self.table.get_mut(&this)?.header(&name, value);
        Ok(())
    }

    fn form(&mut self, this: Resource<Draft>, name: String, value: String) -> Result<()> {
        self.enter()?;
        self.keep(&[&name, &value])?;
        self.table.get_mut(&this)?.form(name, value);
        Ok(())
    }

    fn json(&mut self, this: Resource<Draft>, pointer: String, value: String) -> Result<()> {
        self.enter()?;
        self.keep(&[&pointer, &value])?;
        self.table.get_mut(&this)?.json(pointer, value);
        Ok(())
    }

    fn header_secret(&mut self, this: Resource<Draft>, name: String, value: Resource<SecretHandle>) -> Result<()> {
        self.enter()?;
        self.keep(&[&name])?;
        let secret = self.table.get(&value)?.clone();
        self.table.get_mut(&this)?.header_secret(&name, &secret);
        Ok(())
    }

    fn form_secret(&mut self, this: Resource<Draft>, name: String, value: Resource<SecretHandle>) -> Result<()> {
        self.enter()?;
        self.keep(&[&name])?;
        let secret = self.table.get(&value)?.clone();
        self.table.get_mut(&this)?.form_secret(name, &secret);
        Ok(())
    }

    fn json_secret(&mut self, this: Resource<Draft>, pointer: String, value: Resource<SecretHandle>) -> Result<()> {
        self.enter()?;
        self.keep(&[&pointer])?;
        let secret = self.table.get(&value)?.clone();
        self.table.get_mut(&this)?.json_secret(pointer, &secret);
        Ok(())
    }

    fn authenticate(&mut self, this: Resource<Draft>, scheme: String, user: String, key: Resource<SecretHandle>) -> Result<()> {
        self.enter()?;
        self.keep(&[&scheme, &user])?;
        let key = self.table.get(&key)?.clone();
        self.table.get_mut(&this)?.authenticate(&scheme, user, &key);
        Ok(())
    }

    async fn send(&mut self, this: Resource<Draft>) -> Result<Result<Resource<Answer>, host::Failure>> {
        self.enter()?;
        self.requests += 1;
        if self.requests > self.limits.requests {
            return Ok(Err(failure("limit", &format!("More than {} requests in one call.", self.limits.requests))));
        }
        // The draft is spent: a second send finds an empty one, which is refused.
        let draft = std::mem::replace(self.table.get_mut(&this)?, Draft::new(Err("the request was sent before".to_owned())));
        let ready = match draft.finish() {
            Ok(ready) => ready,
            Err(problem) => {
                let provider = self.name();
                tracing::warn!(provider, "a request of the component was refused: {problem}");
                self.cause = Some(Error::new(
                    Code::ComponentFault,
                    format!("The component of {provider} asked for a request that is refused: {problem}."),
                    "Nothing was sent. Report this to the component's author, and do not use it before you know why.",
                ));
                return Ok(Err(failure("refused", "The request is outside the component's endpoint table.")));
            }
        };
        let from = ready.url.clone();
        let carrier = Arc::clone(&self.context()?.carrier);
        let before = self.reached;
        if ready.renews {
            // until it is known better: this call may be given up while it waits
            self.reached = Reached::Unknown;
        }
        let sent = carrier
            .carry(Outgoing {
                method: ready.method,
                url: ready.url,
                headers: ready.headers,
                body: ready.body,
                limit: self.limits.answer_bytes * if ready.endpoint.role == Role::Metadata { METADATA_FACTOR } else { 1 },
                cut: false,
                timeout: REQUEST_TIMEOUT,
                keep: false,
            })
            .await;
        if ready.renews {
            let now = match &sent {
                Ok(_) => Reached::Answered,
                Err(problem) if problem.may_have_arrived() => Reached::Unknown,
                Err(_) => Reached::Nobody,
            };
            self.reached = before.max(now);
        }
        let incoming = match sent {
            Ok(incoming) => incoming,
            Err(problem) => {
                // The component is told the kind only; the operator gets host, reason and remedy.
                let code = problem.code();
                self.cause = Some(problem.into());
                return Ok(Err(failure(code, "The endpoint could not be reached.")));
            }
        };
        match Answer::read(ready.endpoint, incoming.status, &incoming.headers, &incoming.body, &mut self.scrubber) {
            Ok(answer) => {
                // an error page speaks for nobody
                if incoming.status == 200
                    && let Some(document) = answer.metadata()
                {
                    self.metadata.push((from, document.clone()));
                }
                self.device_answers.extend(answer.device().cloned());
                Ok(Ok(self.table.push(answer)?))
            }
            Err(problem) => Ok(Err(failure("malformed_answer", &format!("The endpoint's answer makes no sense: {problem}.")))),
        }
    }

    fn drop(&mut self, this: Resource<Draft>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl host::HostResponse for State {
    fn status(&mut self, this: Resource<Answer>) -> Result<u16> {
        self.enter()?;
        Ok(self.table.get(&this)?.status())
    }

    fn header(&mut self, this: Resource<Answer>, name: String) -> Result<Option<String>> {
        self.enter()?;
        Ok(self.table.get(&this)?.header(&name))
    }

    fn body(&mut self, this: Resource<Answer>) -> Result<String> {
        self.enter()?;
        Ok(self.table.get(&this)?.body())
    }

    fn field(&mut self, this: Resource<Answer>, pointer: String) -> Result<Option<String>> {
        self.enter()?;
        Ok(self.table.get(&this)?.field(&pointer))
    }

    fn secret(&mut self, this: Resource<Answer>, pointer: String) -> Result<Option<Resource<SecretHandle>>> {
        self.enter()?;
        let Some(handle) = self.table.get(&this)?.secret(&pointer) else { return Ok(None) };
        self.keep_bytes(handle.secret.len())?;
        self.scrubber.add(handle.secret.clone());
        Ok(Some(self.table.push(handle)?))
    }

    fn drop(&mut self, this: Resource<Answer>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl host::HostTokens for State {
    fn new(&mut self, access: Resource<SecretHandle>) -> Result<Resource<TokenDraft>> {
        self.enter()?;
        let handle = self.table.get(&access)?.clone();
        self.must_be_issued(&handle, Kind::Access);
        Ok(self.table.push(TokenDraft { access: handle.secret, refresh: None, id_token: None, facts: Vec::new() })?)
    }

    fn set_refresh(&mut self, this: Resource<TokenDraft>, value: Resource<SecretHandle>) -> Result<()> {
        self.enter()?;
        let handle = self.table.get(&value)?.clone();
        self.must_be_issued(&handle, Kind::Refresh);
        self.table.get_mut(&this)?.refresh = Some(handle.secret);
        Ok(())
    }

    fn set_id_token(&mut self, this: Resource<TokenDraft>, value: Resource<SecretHandle>) -> Result<()> {
        self.enter()?;
        let handle = self.table.get(&value)?.clone();
        self.must_be_issued(&handle, Kind::IdToken);
        self.table.get_mut(&this)?.id_token = Some(handle.secret);
        Ok(())
    }

    fn set(&mut self, this: Resource<TokenDraft>, name: String, value: String) -> Result<()> {
        self.enter()?;
        if name.len() > 64 || value.len() > 8 * 1024 {
            return Err(wasmtime::Error::msg("a fact of more than 8192 bytes"));
        }
        self.keep(&[&name, &value])?;
        let tokens = self.table.get_mut(&this)?;
        if tokens.facts.len() >= 64 {
            return Err(wasmtime::Error::msg("more than 64 facts"));
        }
        tokens.facts.push((name, value));
        Ok(())
    }

    fn drop(&mut self, this: Resource<TokenDraft>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl State {
    fn must_be_issued(&mut self, handle: &SecretHandle, kind: Kind) {
        if handle.kind != kind || !handle.issued {
            self.blame(format!(
                "it offered a secret of the kind {} as a login's {}, which must come from a token endpoint's answer in the same call",
                handle.kind.as_str(),
                kind.as_str()
            ));
        }
    }
}
