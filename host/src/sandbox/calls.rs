//! The calls of a component: what it is lent, what it may return, and how its end is told.
//!
//! Secrets go in as handles. What comes out is checked against the contract before anybody sees it: a word that is none, a
//! handle of another kind or origin, too many pairs are the component's fault.

use serde_json::Value;
use url::Url;
use wasmtime::Store;
use wasmtime::component::Resource;

use super::handles::{self, SecretHandle, Tokens};
use super::state::{Context, State};
use super::{Failed, Failure, Prepared, Reached, Resolved, Unrenewed, bindings, fault};
use crate::error::{Code, Error, Result, foreign};
use crate::secret::{Kind, Secret};

/// What became of a token that was to be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The provider has ended it.
    Revoked,
    /// The provider did not know it any more.
    AlreadyGone,
    /// The provider has no way to end a token of this kind.
    Unsupported,
}

/// The start of a device flow, as the component tells it.
#[derive(Debug)]
pub struct DeviceStart {
    /// The device code. It came from an endpoint of the role `device` in this call.
    pub code: Secret,
    /// Pairs by the names of RFC 8628 section 3.2, unchecked.
    pub pairs: Vec<(String, String)>,
    /// What the device endpoint answered, secrets left out: a component tells a person nothing else.
    pub answers: Vec<Value>,
}

impl Prepared {
    /// Asks the component where its endpoints are.
    ///
    /// # Errors
    /// See [`Failed`].
    pub async fn resolve(&self, context: &Context) -> Result<Resolved, Failed> {
        let mut store = self.store(Some(context.clone()), self.limits);
        let work = async {
            let instance = self.base.instantiate_async(&mut store).await?;
            instance.credentials_broker_provider_provider().call_resolve(&mut store).await
        };
        let result = self.bounded(work, self.limits.deadline).await;
        let (pairs, mut state) = conclude(store, result)?;
        check_pairs(&state, &pairs)?;
        Ok((pairs, std::mem::take(&mut state.metadata)))
    }

    /// Asks for extra parameters of the authorization request.
    ///
    /// # Errors
    /// See [`Failed`].
    pub async fn authorization(&self, context: &Context, scopes: &[String]) -> Result<Vec<(String, String)>, Failed> {
        let mut store = self.store(Some(context.clone()), self.limits);
        let work = async {
            let instance = self.base.instantiate_async(&mut store).await?;
            instance.credentials_broker_provider_provider().call_authorization(&mut store, scopes).await
        };
        let result = self.bounded(work, self.limits.deadline).await;
        let (pairs, state) = conclude(store, result)?;
        check_pairs(&state, &pairs)?;
        Ok(pairs)
    }

    /// Has the component redeem an authorization code.
    ///
    /// # Errors
    /// See [`Failed`].
    pub async fn exchange(
        &self,
        context: &Context,
        code: Secret,
        verifier: Secret,
        redirect_uri: &Url,
    ) -> Result<Tokens, Failed> {
        let mut store = self.store(Some(context.clone()), self.limits);
        let code = lend(&mut store, code, Kind::Code)?;
        let verifier = lend(&mut store, verifier, Kind::Verifier)?;
        let work = async {
            let instance = self.base.instantiate_async(&mut store).await?;
            instance.credentials_broker_provider_provider().call_exchange(&mut store, code, verifier, redirect_uri.as_str()).await
        };
        let result = self.bounded(work, self.limits.deadline).await;
        take_tokens(conclude(store, result)?)
    }

    /// Has the component refresh an access token. `None`: it does not export that.
    ///
    /// # Errors
    /// See [`Failed`]; and how far the refresh token got.
    pub async fn refresh(
        &self,
        context: &Context,
        token: Secret,
        scopes: &[String],
        notes: &[(String, String)],
    ) -> Result<Option<Tokens>, Unrenewed> {
        let Some(refresh) = &self.optional.refresh else { return Ok(None) };
        let mut store = self.store(Some(context.clone()), self.limits);
        let token = lend(&mut store, token, Kind::Refresh).map_err(|failed| Unrenewed { failed, reached: Reached::Nobody })?;
        let work = async {
            let instance = refresh.instantiate_async(&mut store).await?;
            instance.credentials_broker_provider_refresh().call_refresh(&mut store, token, scopes, notes).await
        };
        let result = self.bounded(work, self.limits.deadline).await;
        let reached = store.data().reached;
        conclude(store, result).and_then(take_tokens).map(Some).map_err(|failed| match failed {
            // The component broke down over the answer: what it held is lost.
            Failed::Fault(_) if reached == Reached::Answered => Unrenewed { failed, reached: Reached::Unknown },
            Failed::Fault(_) | Failed::Said(_) => Unrenewed { failed, reached },
        })
    }

    /// Has the component revoke a token of the kind [`Kind::Refresh`] or [`Kind::Access`]. `None`: it does not export that.
    ///
    /// # Errors
    /// See [`Failed`].
    pub async fn revoke(
        &self,
        context: &Context,
        token: Secret,
        kind: Kind,
        notes: &[(String, String)],
    ) -> Result<Option<Revocation>, Failed> {
        let Some(revocation) = &self.optional.revocation else { return Ok(None) };
        let mut store = self.store(Some(context.clone()), self.limits);
        let token = lend(&mut store, token, kind)?;
        let work = async {
            let instance = revocation.instantiate_async(&mut store).await?;
            instance.credentials_broker_provider_revocation().call_revoke(&mut store, token, notes).await
        };
        let result = self.bounded(work, self.limits.deadline).await;
        let (word, state) = conclude(store, result)?;
        match word.as_str() {
            "revoked" => Ok(Some(Revocation::Revoked)),
            "already-gone" => Ok(Some(Revocation::AlreadyGone)),
            "unsupported" => Ok(Some(Revocation::Unsupported)),
            _ => Err(broken(&state, "it says of a revocation what is neither revoked, already-gone nor unsupported")),
        }
    }

    /// Asks the component whose access token it is, as the pairs `id`, `name`, `email`. `None`: it does not export that.
    ///
    /// # Errors
    /// See [`Failed`].
    pub async fn account(
        &self,
        context: &Context,
        access: Secret,
        notes: &[(String, String)],
    ) -> Result<Option<Vec<(String, String)>>, Failed> {
        let Some(account) = &self.optional.account else { return Ok(None) };
        let mut store = self.store(Some(context.clone()), self.limits);
        let access = lend(&mut store, access, Kind::Access)?;
        let work = async {
            let instance = account.instantiate_async(&mut store).await?;
            instance.credentials_broker_provider_account().call_account(&mut store, access, notes).await
        };
        let result = self.bounded(work, self.limits.deadline).await;
        let (mut pairs, mut state) = conclude(store, result)?;
        check_pairs(&state, &pairs)?;
        pairs.retain(|(_, value)| !state.scrubber.finds(value));
        Ok(Some(pairs))
    }

    /// Has the component ask for a device code (RFC 8628 section 3.1). `None`: it does not export that.
    ///
    /// # Errors
    /// See [`Failed`].
    pub async fn start_device(&self, context: &Context, scopes: &[String]) -> Result<Option<DeviceStart>, Failed> {
        let Some(device) = &self.optional.device else { return Ok(None) };
        let mut store = self.store(Some(context.clone()), self.limits);
        let work = async {
            let instance = device.instantiate_async(&mut store).await?;
            instance.credentials_broker_provider_device().call_start(&mut store, scopes).await
        };
        let result = self.bounded(work, self.limits.deadline).await;
        let ((code, pairs), mut state) = conclude(store, result)?;
        check_pairs(&state, &pairs)?;
        let handle = state.table.delete(code).ok().filter(|handle| handle.kind == Kind::DeviceCode && handle.issued);
        let Some(handle) = handle else {
            return Err(broken(&state, "it returned as a device code what no device endpoint gave in this call"));
        };
        Ok(Some(DeviceStart { code: handle.secret, pairs, answers: std::mem::take(&mut state.device_answers) }))
    }

    /// Has the component ask once whether the person has finished (RFC 8628 section 3.4). `None`: it does not export that.
    ///
    /// # Errors
    /// See [`Failed`].
    pub async fn poll_device(&self, context: &Context, code: Secret) -> Result<Option<Tokens>, Failed> {
        let Some(device) = &self.optional.device else { return Ok(None) };
        let mut store = self.store(Some(context.clone()), self.limits);
        let code = lend(&mut store, code, Kind::DeviceCode)?;
        let work = async {
            let instance = device.instantiate_async(&mut store).await?;
            instance.credentials_broker_provider_device().call_poll(&mut store, code).await
        };
        let result = self.bounded(work, self.limits.deadline).await;
        take_tokens(conclude(store, result)?).map(Some)
    }
}

fn lend(store: &mut Store<State>, secret: Secret, kind: Kind) -> Result<Resource<SecretHandle>, Failed> {
    let state = store.data_mut();
    state.scrubber.add(secret.clone());
    state
        .table
        .push(SecretHandle::given(secret, kind))
        .map_err(|_| Failed::Fault(Error::new(Code::Internal, "The table of handles is full.", "Report this.")))
}

/// Turns a call's end into a result: what the component returned, unless it broke the contract on the way.
fn conclude<T>(store: Store<State>, result: Result<Result<T, bindings::host::Failure>, String>) -> Result<(T, State), Failed> {
    let mut state = store.into_data();
    let provider = state.context.as_ref().map(|context| context.descriptor.name.clone());
    let told = result.map_err(|reason| Failed::Fault(fault(provider.as_deref(), &reason)))?;
    if let Some(reason) = state.fault.take() {
        return Err(Failed::Fault(fault(provider.as_deref(), &reason)));
    }
    match told {
        Ok(value) => Ok((value, state)),
        Err(failure) => {
            // The component was told less than the host knows: prefer the host's word.
            if let (Some(cause), "refused" | "unreachable" | "timeout" | "too_large") =
                (state.cause.take(), failure.code.as_str())
            {
                return Err(Failed::Fault(cause));
            }
            Err(Failed::Said(bound(&failure, &mut state)))
        }
    }
}

fn bound(failure: &bindings::host::Failure, state: &mut State) -> Failure {
    let mut fit = |text: &str| if state.scrubber.finds(text) { "[hidden: it held a secret]".to_owned() } else { foreign(text) };
    Failure {
        code: failure.code.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(64).collect(),
        message: fit(&failure.message),
        details: failure.details.iter().take(16).map(|(name, value)| (name.chars().take(32).collect(), fit(value))).collect(),
    }
}

fn take_tokens((tokens, mut state): (Resource<handles::TokenDraft>, State)) -> Result<Tokens, Failed> {
    let draft = state.table.delete(tokens);
    let draft = draft.map_err(|_| Failed::Fault(fault(None, "it returned tokens that it did not make")))?;
    Ok(draft.into())
}

fn check_pairs(state: &State, pairs: &[(String, String)]) -> Result<(), Failed> {
    let sound = pairs.len() <= 128
        && pairs.iter().all(|(name, value)| name.len() <= 64 && value.len() <= 8 * 1024 && !value.chars().any(char::is_control));
    if sound {
        return Ok(());
    }
    Err(broken(state, "it returned too many pairs, too long ones, or ones with control characters"))
}

fn broken(state: &State, reason: &str) -> Failed {
    let provider = state.context.as_ref().map(|context| context.descriptor.name.as_str());
    Failed::Fault(fault(provider, reason))
}
