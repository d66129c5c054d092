//! One broker and one stage, and the person between them.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Method;
use http::header::HeaderMap;
use uuid::Uuid;

use super::{Subject, script};
use crate::audit::Audit;
use crate::broker::Broker;
use crate::broker::flows::Status;
use crate::broker::login::{LoggedIn, LoginRequest};
use crate::broker::revocation::Revoked;
use crate::config::{self, Browser, Config, LoginMode, LoopbackPort, Source};
use crate::egress::{Egress, Outgoing};
use crate::error::{Code, Error, Result, foreign};
use crate::providers::Providers;
use crate::rehearsal::stage::{Back, Stage};
use crate::secret::SecretName;
use crate::vault::{Grant, Memory, Renewal, Stored, Vault};

/// Longer than the broker waits for a provider that does not answer.
const PATIENCE: Duration = Duration::from_secs(90);
/// What the login is called.
const NAME: &str = "rehearsal";

/// A rehearsal of one component.
pub(super) struct Play<'a> {
    pub(super) stage: Stage,
    subject: &'a Subject,
    broker: Arc<Broker>,
    vault: Arc<Memory>,
    scopes: Vec<String>,
    _authority: Authority,
}

/// How a login ended, in the broker's own words.
pub(super) type Outcome = Result<Arc<LoggedIn>>;

impl<'a> Play<'a> {
    /// A stage that plays the component's table, and a broker with this component alone, configured as an operator would.
    pub(super) async fn start(subject: &'a Subject) -> Result<Self> {
        let prepared = script::prepare(subject.descriptor(), &subject.fixtures)?;
        let stage = Stage::start(prepared.script).await?;
        let authority = Authority::write(stage.authority())?;
        let resolve = stage.hosts().iter().map(|(host, port)| (format!("{host}:{port}"), stage.address())).collect();
        let operator = config::Provider {
            loopback_port: LoopbackPort::Any,
            settings: prepared.settings.into_iter().map(|(name, value)| (name, Source::Text(value))).collect(),
            ..config::Provider::default()
        };
        let config = Config {
            browser: Browser::None,
            egress: config::Egress { extra_roots: Some(authority.file.clone()), resolve, ..config::Egress::default() },
            ..Config::default()
        };
        let vault = Arc::new(Memory::default());
        let providers = Providers::only(subject.drop_in.clone(), operator)?;
        let broker = Broker::new(&config, Arc::clone(&vault) as Arc<dyn Vault>, providers, Audit::to(std::io::sink()), None)?;
        Ok(Self { stage, subject, broker, vault, scopes: prepared.scopes, _authority: authority })
    }

    /// A whole login.
    pub(super) async fn sign_in(&self) -> Outcome {
        let (flow, back) = self.begin().await?;
        self.come_back(&back, &back.state).await?;
        self.finish(&flow).await
    }

    /// A whole login that no id_token is asked for.
    pub(super) async fn sign_in_without_openid(&self) -> Outcome {
        let mut request = self.request();
        request.scopes.retain(|scope| scope != "openid");
        let (flow, back) = self.begin_with(request).await?;
        self.come_back(&back, &back.state).await?;
        self.finish(&flow).await
    }

    /// A whole login by the device flow: the person enters the code at once, the server says so at the second question.
    pub(super) async fn sign_in_elsewhere(&self) -> Outcome {
        let request = LoginRequest { mode: Some(LoginMode::Device), ..self.request() };
        let started = self.broker.start_login(request).await?;
        self.finish(&started.flow.id).await
    }

    /// Ends the login at the provider.
    pub(super) async fn revoke(&self) -> Result<Revoked> {
        self.broker.revoke_secret(NAME).await
    }

    /// What an agent would ask for.
    fn request(&self) -> LoginRequest {
        LoginRequest {
            provider: self.subject.descriptor().name.clone(),
            scopes: self.scopes.clone(),
            secret_name: NAME.to_owned(),
            ..LoginRequest::default()
        }
    }

    /// A login up to the person's sign-in: its id, and where the browser would go now.
    pub(super) async fn begin(&self) -> Result<(String, Back)> {
        self.begin_with(self.request()).await
    }

    async fn begin_with(&self, request: LoginRequest) -> Result<(String, Back)> {
        let started = self.broker.start_login(request).await?;
        let back = self.stage.sign_in(&started.flow.authorization_url).map_err(|reason| {
            Error::new(
                Code::ComponentFault,
                format!("An authorization server would show an error in the browser: {}.", foreign(&reason)),
                "Look at what `authorization` returns, and at the authorization endpoint of the table.",
            )
        })?;
        Ok((started.flow.id.clone(), back))
    }

    /// The browser, sent back with this state.
    pub(super) async fn come_back(&self, back: &Back, state: &str) -> Result<u16> {
        let url = back.url(state);
        let port = url.port_or_known_default().unwrap_or_default();
        // the person's browser, not the broker: it may go to the callback and nowhere else
        let allow_loopback = vec![([127, 0, 0, 1], port).into(), (std::net::Ipv6Addr::LOCALHOST, port).into()];
        let browser = Egress::new(&config::Egress { allow_loopback, ..config::Egress::default() })?;
        let outgoing = Outgoing {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: None,
            limit: 64 * 1024,
            cut: false,
            timeout: PATIENCE,
            keep: false,
        };
        Ok(browser.send(outgoing).await.map_err(Error::from)?.status)
    }

    /// How the login ended.
    pub(super) async fn finish(&self, flow: &str) -> Outcome {
        match self.broker.await_login(flow, PATIENCE).await?.1 {
            Status::Done(done) => Ok(done),
            Status::Failed(error) => Err(error),
            Status::Pending => Err(Error::new(Code::Internal, "The login did not end.", "Report this.")),
        }
    }

    /// Whether the login waits for the browser.
    pub(super) async fn waits(&self, flow: &str) -> bool {
        matches!(self.broker.await_login(flow, Duration::ZERO).await, Ok((_, Status::Pending)))
    }

    /// What is stored now.
    pub(super) fn grant(&self) -> Result<Option<Arc<Grant>>> {
        let record = self.vault.get(&SecretName::parse(NAME)?)?;
        Ok(record.and_then(|record| match record.stored {
            Stored::Grant(grant) => Some(grant),
            Stored::Static(_) => None,
        }))
    }

    /// Uses the login after its access token has ended, so that it must be refreshed.
    pub(super) async fn use_later(&self) -> Result<()> {
        let name = SecretName::parse(NAME)?;
        if let Some(record) = self.vault.get(&name)?
            && let Stored::Grant(grant) = &record.stored
        {
            let past = SystemTime::now() - Duration::from_secs(1);
            // long enough ago that a try that failed counts no more
            let ended = Grant { expires: Some(past), renewal: Renewal::default(), ..(**grant).clone() };
            self.vault.replace(&name, record.revision, Arc::new(ended))?;
        }
        self.broker.get_secret(NAME, "a rehearsal", None).await.map(drop)
    }

    /// What was wrong with the requests so far, as one sentence.
    pub(super) fn complaint(&self) -> Option<String> {
        let complaints = self.stage.complaints();
        (!complaints.is_empty()).then(|| complaints.join("; "))
    }

    /// Takes down which endpoints were asked.
    pub(super) fn end(&self) {
        self.subject.saw(self.stage.asked());
    }
}

/// The stage's certificate authority in a file, since that is how an operator names one. Gone with the play.
struct Authority {
    folder: PathBuf,
    file: PathBuf,
}

impl Authority {
    fn write(pem: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("mcp-credentials-broker-{}", Uuid::new_v4()));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt as _;
            builder.mode(0o700);
        }
        let authority = Self { file: folder.join("rehearsal.pem"), folder };
        let written = builder.create(&authority.folder).and_then(|()| fs::write(&authority.file, pem));
        written.map_err(|error| {
            Error::new(
                Code::Internal,
                format!("{} cannot be written: {error}.", authority.file.display()),
                "Name a folder that you may write to in TMPDIR.",
            )
        })?;
        Ok(authority)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
