//! A login is renewed once, whoever asks for it and in whichever process, and nothing that goes wrong on the way loses it.
//!
//! Within one process here, with a grant that a test writes into the vault as it needs it; across processes in
//! `processes` and `deaths`.

mod answers;
mod deaths;
mod faults;
mod processes;
mod shared;
mod waiting;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use credentials_broker::audit::Audit;
use credentials_broker::broker::Broker;
use credentials_broker::config;
use credentials_broker::descriptor::Ttl;
use credentials_broker::error::{Code, Error};
use credentials_broker::providers::Providers;
use credentials_broker::sandbox::Workshop;
use credentials_broker::secret::{Secret, SecretName};
use credentials_broker::vault::{Account, Generation, Grant, Memory, Renewal, Revision, Stored, Vault, Vouched};

use crate::support::lookalike::{self, Lookalike, OpenId, Site};
use crate::support::place;

const HOUR: Duration = Duration::from_secs(3600);

/// An authorization server, and a broker with one login there.
struct Scene {
    site: Arc<OpenId>,
    lookalike: Lookalike,
    vault: Arc<dyn Vault>,
    broker: Arc<Broker>,
    trail: Trail,
    _folder: tempfile::TempDir,
}

/// The audit trail.
#[derive(Clone, Default)]
struct Trail(Arc<Mutex<Vec<u8>>>);

impl credentials_broker::pipe::Output for Trail {}

impl Write for Trail {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn name() -> SecretName {
    SecretName::parse("team").unwrap()
}

impl Scene {
    /// A login at a team's own server whose token has ended, with lines for the operator's file.
    async fn new(site: OpenId, operator: &str) -> Self {
        Self::around(site, operator, Arc::new(Memory::default())).await
    }

    /// The same with another vault.
    async fn around(site: OpenId, operator: &str, vault: Arc<dyn Vault>) -> Self {
        let site = Arc::new(site);
        let lookalike = Lookalike::of(&site).await;
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("broker.toml");
        let provider =
            format!("[providers.oauth2]\nclient_id = \"{}\"\nissuer = \"{}\"\n", site.desk().client_id(), site.issuer());
        std::fs::write(&file, format!("browser = \"none\"\n{}{provider}{operator}", lookalike.toml())).unwrap();
        let config = config::load(Some(&file)).unwrap();
        let providers =
            Providers::new(&config, &[], Workshop::keeping(place::target("tmp/cache/mcp-credentials-broker/components")))
                .unwrap();
        let trail = Trail::default();
        let broker = Broker::new(&config, Arc::clone(&vault), providers, Audit::to(trail.clone()), None).unwrap();
        let scene = Self { site, lookalike, vault, broker, trail, _folder: folder };
        scene.grant(|grant| expire(grant, HOUR));
        scene
    }

    /// Puts a login of an hour into the vault, after `edit`.
    fn grant(&self, edit: impl FnOnce(&mut Grant)) -> Generation {
        let at = |path: &str| format!("https://id.example{}", self.site.path(path));
        let resolved: BTreeMap<String, String> = [
            ("issuer", self.site.issuer()),
            ("authorization_endpoint", at("authorize")),
            ("token_endpoint", at("token")),
            ("jwks_uri", at("keys")),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let scopes = vec!["openid".to_owned(), "offline_access".to_owned(), "read".to_owned()];
        let there = lookalike::Grant { scopes: scopes.clone(), nonce: None, offline: true };
        let now = SystemTime::now();
        let mut grant = Grant {
            provider: "oauth2".to_owned(),
            lineage: "embedded:oauth2".to_owned(),
            client_id: self.site.desk().client_id().to_owned(),
            issuer: Some(self.site.issuer()),
            resolved: Arc::new(resolved),
            settings: Arc::default(),
            account: Some(Account {
                issuer: self.site.issuer(),
                subject: "00uid4BxXw6I6TV4m0g3".to_owned(),
                label: None,
                vouched: Vouched::IdToken,
            }),
            access: Secret::new(self.site.desk().access("acc-")),
            refresh: Some(Secret::new(self.site.desk().refresh("ref-", &there))),
            scopes,
            issued: now,
            expires: Some(now + HOUR),
            ttl: Ttl { default: 3600, maximum: 86_400 },
            notes: Vec::new(),
            ended: None,
            strict_rotation: false,
            renewal: Renewal::default(),
        };
        edit(&mut grant);
        let stored = Stored::Grant(Arc::new(grant));
        self.vault.put(&name(), stored, BTreeMap::new(), &mut |_| Ok(())).unwrap().0
    }

    /// The login as it is stored.
    fn stored(&self) -> (Revision, Arc<Grant>) {
        let record = self.vault.get(&name()).unwrap().unwrap();
        let Stored::Grant(grant) = record.stored else { panic!("no login") };
        (record.revision, grant)
    }

    /// An access token, as an agent gets it.
    async fn token(&self) -> Result<String, Error> {
        let reference = self.broker.get_secret("team", "a test", None).await?;
        Ok(self.broker.resolve_secret(&reference.id).await?.expose().to_owned())
    }

    /// Fails unless the token is refused with this code, and returns what is said.
    async fn refused(&self, code: Code) -> String {
        let error = self.token().await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        error.to_string()
    }

    /// How many refreshes were sent.
    fn refreshes(&self) -> usize {
        let requests = self.lookalike.requests(&self.site.path("token"));
        requests.iter().filter(|request| request.field("grant_type") == "refresh_token").count()
    }

    fn trail(&self) -> String {
        self.broker.audit().flush();
        String::from_utf8(self.trail.0.lock().unwrap().clone()).unwrap()
    }
}

/// As if it had been issued so long ago.
fn expire(grant: &mut Grant, ago: Duration) {
    grant.issued -= ago;
    grant.expires = grant.expires.map(|end| end - ago);
}
