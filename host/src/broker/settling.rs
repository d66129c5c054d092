//! What is settled before a login begins, however the person signs in: who may have the name, which scopes, which
//! endpoints. Whatever stands in the way is found out before anybody signs in for nothing.

use std::sync::Arc;

use url::Url;
use uuid::Uuid;

use super::attempt::Attempt;
use super::authorization::{check_extra, check_scopes};
use super::device::no_device_flow;
use super::failure::{During, explain};
use super::flows::Reservation;
use super::login::{LoginMode, LoginRequest};
use super::replacing::{Newcomer, Whose, may_replace};
use super::resolution::{self, Resolution};
use super::{Broker, accounts};
use crate::descriptor::Descriptor;
use crate::error::{Code, Error, Result, foreign};
use crate::sandbox::{Context, Prepared};
use crate::secret::SecretName;
use crate::vault::Stored;

/// Providers whose endpoints an agent may repeat, as it could with the predecessor.
const REPEATABLE: [&str; 2] = ["oauth2", "okta"];

/// A login that may begin.
pub(super) struct Settled {
    pub(super) attempt: Attempt,
    pub(super) mode: LoginMode,
    /// What the component adds to an authorization URL.
    pub(super) extra: Vec<(String, String)>,
    /// The parameter that names the account of the login that is renewed.
    pub(super) hint: Option<(String, String)>,
    /// Holds the name.
    pub(super) reservation: Reservation,
}

impl Broker {
    pub(super) async fn settle(self: &Arc<Self>, request: &LoginRequest) -> Result<Settled> {
        let name = SecretName::parse(&request.secret_name)?;
        self.reserved.check(&name)?;
        self.policies.may_sign_in(&name)?;
        let provider = self.providers.get(&request.provider).await?;
        let descriptor = Arc::clone(provider.descriptor());
        if !descriptor.can_log_in() {
            return Err(Error::new(
                Code::Unsupported,
                format!("{} has no login yet; it serves mint_token only.", descriptor.title),
                "list_providers says which providers a person can sign in to.",
            ));
        }
        let mode = request.mode.unwrap_or(provider.operator().login);
        if mode == LoginMode::Device && !descriptor.can_use_device() {
            return Err(no_device_flow(&descriptor.title));
        }
        let scopes = check_scopes(&descriptor.name, &request.scopes, provider.operator().scopes.as_deref())?;
        let reservation = self.flows.reserve(&name)?;
        if provider.missing().is_some() {
            // says what is missing; nothing is compiled for that
            self.settings(&provider).await?;
        }
        // Each may take long, a command that gives a secret as a component that is not compiled yet.
        let (settings, prepared) = tokio::try_join!(self.settings(&provider), self.providers.prepared(&provider))?;
        let (settings, prepared) = (Arc::new(settings), prepared.clone());
        let client_id = settings.plain("client_id").unwrap_or_default().to_owned();
        let old = self.vault.get(&name)?;
        let newcomer = Newcomer { provider: &provider, client_id: &client_id, replace: request.replace };
        may_replace(&name, old.as_ref(), newcomer, Whose::NotKnownYet)?;

        let mut context = Context {
            descriptor: Arc::clone(&descriptor),
            settings,
            resolved: Arc::default(),
            carrier: Arc::new(self.egress.clone()),
        };
        let resolution = self.resolve(&prepared, &context).await?;
        context.resolved = Arc::new(resolution.resolved.clone());
        check_repeated(&descriptor, request, &resolution)?;
        // A code that cannot be redeemed safely is better never issued.
        let first = match mode {
            LoginMode::Browser => &resolution.authorization_endpoint,
            LoginMode::Device => resolution.device_endpoint.as_ref().ok_or_else(|| no_device_flow(&descriptor.title))?,
        };
        for url in [Some(first), resolution.token_endpoint.as_ref(), resolution.jwks_uri.as_ref()].into_iter().flatten() {
            self.egress.check_url(url).map_err(Error::from)?;
        }

        let extra = prepared.authorization(&context, &scopes).await;
        let extra = extra.map_err(|failed| explain(&descriptor.title, During::Preparing, failed))?;
        let (extra, added) = check_extra(&descriptor, extra)?;
        let mut asked = scopes;
        asked.extend(added.into_iter().filter(|scope| !asked.contains(scope)).collect::<Vec<_>>());

        let openid = descriptor.openid && resolution.jwks_uri.is_some() && asked.iter().any(|scope| scope == "openid");
        if !openid && !prepared.can_tell_account() {
            // Nobody will know whose login it is.
            may_replace(&name, old.as_ref(), newcomer, Whose::Unknown)?;
        }
        let hint = match old.map(|record| record.stored) {
            Some(Stored::Grant(grant)) if !request.replace => accounts::hint(&descriptor, &grant),
            _ => None,
        };
        let attempt = Attempt {
            broker: Arc::clone(self),
            provider,
            prepared,
            context,
            resolution,
            client_id,
            name,
            scopes: asked,
            openid,
            replace: request.replace,
            flow_id: Uuid::new_v4().to_string(),
        };
        Ok(Settled { attempt, mode, extra, hint, reservation })
    }

    async fn resolve(&self, prepared: &Prepared, context: &Context) -> Result<Resolution> {
        let descriptor = &context.descriptor;
        let resolved = prepared.resolve(context).await;
        let (pairs, documents) = resolved.map_err(|failed| explain(&descriptor.title, During::Preparing, failed))?;
        resolution::resolve(descriptor, &context.settings, pairs, &documents)
    }
}

/// An agent may repeat endpoints, never choose them.
fn check_repeated(descriptor: &Descriptor, request: &LoginRequest, resolution: &Resolution) -> Result<()> {
    let given = [
        ("authorization_endpoint", &request.authorization_endpoint, Some(&resolution.authorization_endpoint)),
        ("token_endpoint", &request.token_endpoint, resolution.token_endpoint.as_ref()),
    ];
    for (name, value, configured) in given {
        let Some(value) = value else { continue };
        let same = REPEATABLE.contains(&descriptor.name.as_str())
            && configured.is_some_and(|url| Url::parse(value).is_ok_and(|given| given == *url));
        if same {
            continue;
        }
        let hint = if descriptor.setting(name).is_some() {
            format!(
                "Leave {name} out, or ask the operator to set {name} = \"…\" under [providers.{}] in broker.toml.",
                descriptor.name
            )
        } else {
            format!(
                "Leave {name} out: {}'s endpoints are fixed. For another server the operator can set [providers.oauth2] {name} = \"…\" in broker.toml.",
                descriptor.title
            )
        };
        return Err(Error::new(
            Code::NotAllowed,
            format!("{name} {} is not {}'s; only the operator can name endpoints.", foreign(value), descriptor.title),
            hint,
        ));
    }
    Ok(())
}
