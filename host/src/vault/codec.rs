//! How a record is written down before it is sealed: JSON, in types of its own.
//!
//! The broker's types have no `Serialize`, so that nobody writes a token down by accident. Every conversion here names
//! every member: whoever adds one has to say how it is kept, and gives it a default for the vaults that lack it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::{Account, Grant, Intent, Renewal, Stored, Tombstone, Vouched};
use crate::descriptor::Ttl;
use crate::error::{Code, Error, Result};
use crate::secret::{Kind, Secret, SecretName};

/// What a record holds beside its name, generation and revision.
#[derive(Serialize, Deserialize)]
pub(super) struct Body {
    stored: Value,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    created: Time,
}

/// What a tombstone holds.
#[derive(Serialize, Deserialize)]
pub(super) struct Grave {
    pub(super) id: String,
    name: String,
    grant: Login,
    pending: Vec<String>,
    attempts: u32,
    not_before: Time,
    buried: Time,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Value {
    Static(Text),
    Grant(Box<Login>),
}

#[derive(Serialize, Deserialize)]
struct Login {
    provider: String,
    lineage: String,
    client_id: String,
    issuer: Option<String>,
    resolved: BTreeMap<String, String>,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    account: Option<Who>,
    access: Text,
    refresh: Option<Text>,
    scopes: Vec<String>,
    issued: Time,
    expires: Option<Time>,
    ttl: Life,
    notes: Vec<(String, String)>,
    ended: Option<String>,
    strict_rotation: bool,
    #[serde(default)]
    intent: Option<Sending>,
    #[serde(default)]
    failures: u32,
    #[serde(default)]
    not_before: Option<Time>,
}

#[derive(Serialize, Deserialize)]
struct Who {
    issuer: String,
    subject: String,
    label: Option<String>,
    /// Whether an id_token says so.
    verified: bool,
}

#[derive(Serialize, Deserialize)]
struct Sending {
    since: Time,
    tries: u32,
}

#[derive(Serialize, Deserialize)]
struct Life {
    default: u64,
    maximum: u64,
}

impl Body {
    pub(super) fn new(stored: &Stored, tags: &BTreeMap<String, String>, created: SystemTime) -> Self {
        let stored = match stored {
            Stored::Static(secret) => Value::Static(Text(secret.clone())),
            Stored::Grant(grant) => Value::Grant(Box::new(Login::new(grant))),
        };
        Self { stored, tags: tags.clone(), created: Time(created) }
    }

    pub(super) fn open(self) -> (Stored, BTreeMap<String, String>, SystemTime) {
        let stored = match self.stored {
            Value::Static(Text(secret)) => Stored::Static(secret),
            Value::Grant(login) => Stored::Grant(Arc::new(login.open())),
        };
        (stored, self.tags, self.created.0)
    }
}

impl Grave {
    pub(super) fn new(tombstone: &Tombstone) -> Self {
        let Tombstone { id, name, grant, pending, attempts, not_before, buried } = tombstone;
        Self {
            id: id.clone(),
            name: name.as_str().to_owned(),
            grant: Login::new(grant),
            pending: pending.iter().map(|kind| kind.as_str().to_owned()).collect(),
            attempts: *attempts,
            not_before: Time(*not_before),
            buried: Time(*buried),
        }
    }

    pub(super) fn open(self) -> Result<Tombstone> {
        let Self { id, name, grant, pending, attempts, not_before, buried } = self;
        let pending = pending.iter().map(|word| Kind::parse(word)).collect::<Option<_>>().ok_or_else(unreadable)?;
        Ok(Tombstone {
            id,
            name: SecretName::parse(&name)?,
            grant: Arc::new(grant.open()),
            pending,
            attempts,
            not_before: not_before.0,
            buried: buried.0,
        })
    }
}

impl Login {
    fn new(grant: &Grant) -> Self {
        let Grant {
            provider,
            lineage,
            client_id,
            issuer,
            resolved,
            settings,
            account,
            access,
            refresh,
            scopes,
            issued,
            expires,
            ttl,
            notes,
            ended,
            strict_rotation,
            renewal: Renewal { intent, failures, not_before },
        } = grant;
        let who = |account: &Account| {
            let Account { issuer, subject, label, vouched } = account.clone();
            Who { issuer, subject, label, verified: vouched == Vouched::IdToken }
        };
        Self {
            provider: provider.clone(),
            lineage: lineage.clone(),
            client_id: client_id.clone(),
            issuer: issuer.clone(),
            resolved: (**resolved).clone(),
            settings: (**settings).clone(),
            account: account.as_ref().map(who),
            access: Text(access.clone()),
            refresh: refresh.clone().map(Text),
            scopes: scopes.clone(),
            issued: Time(*issued),
            expires: expires.map(Time),
            ttl: Life { default: ttl.default, maximum: ttl.maximum },
            notes: notes.clone(),
            ended: ended.clone(),
            strict_rotation: *strict_rotation,
            intent: intent.map(|Intent { since, tries }| Sending { since: Time(since), tries }),
            failures: *failures,
            not_before: not_before.map(Time),
        }
    }

    fn open(self) -> Grant {
        let vouched = |verified: bool| if verified { Vouched::IdToken } else { Vouched::Component };
        let account = |Who { issuer, subject, label, verified }| Account { issuer, subject, label, vouched: vouched(verified) };
        let intent = |Sending { since, tries }| Intent { since: since.0, tries };
        Grant {
            provider: self.provider,
            lineage: self.lineage,
            client_id: self.client_id,
            issuer: self.issuer,
            resolved: Arc::new(self.resolved),
            settings: Arc::new(self.settings),
            account: self.account.map(account),
            access: self.access.0,
            refresh: self.refresh.map(|text| text.0),
            scopes: self.scopes,
            issued: self.issued.0,
            expires: self.expires.map(|time| time.0),
            ttl: Ttl { default: self.ttl.default, maximum: self.ttl.maximum },
            notes: self.notes,
            ended: self.ended,
            strict_rotation: self.strict_rotation,
            renewal: Renewal {
                intent: self.intent.map(intent),
                failures: self.failures,
                not_before: self.not_before.map(|time| time.0),
            },
        }
    }
}

/// A secret as a JSON text.
struct Text(Secret);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Text;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E>(self, text: &str) -> std::result::Result<Text, E> {
                Ok(Text(Secret::from(text)))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// A time in milliseconds since 1970; before that for a clock that stood before.
struct Time(SystemTime);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        serializer.serialize_i64(match self.0.duration_since(UNIX_EPOCH) {
            Ok(since) => millis(since),
            Err(before) => -millis(before.duration()),
        })
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let millis = i64::deserialize(deserializer)?;
        let distance = Duration::from_millis(millis.unsigned_abs());
        let time = if millis < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
        Ok(Self(time.unwrap_or(UNIX_EPOCH)))
    }
}

/// To bytes that are wiped after use.
pub(super) fn encode(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>> {
    // The most that a record has, so that no half-written copy is left behind where it grew: a counting pass first.
    let mut length = Count(0);
    serde_json::to_writer(&mut length, value).map_err(|_| unreadable())?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *bytes, value).map_err(|_| unreadable())?;
    Ok(bytes)
}

/// From bytes that were authenticated.
pub(super) fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|_| unreadable())
}

struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What was sealed with the right key and makes no sense was written by another version.
fn unreadable() -> Error {
    Error::new(
        Code::VaultNewer,
        "A record of the vault has a form that this version does not know.",
        "Use the version of mcp-credentials-broker that wrote it.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        Grant {
            provider: "okta".to_owned(),
            lineage: "embedded:okta".to_owned(),
            client_id: "id".to_owned(),
            issuer: Some("https://issuer.example".to_owned()),
            resolved: Arc::new([("token".to_owned(), "https://issuer.example/t".to_owned())].into()),
            settings: Arc::new([("domain".to_owned(), "issuer.example".to_owned())].into()),
            account: Some(Account { issuer: "i".to_owned(), subject: "s".to_owned(), label: None, vouched: Vouched::Component }),
            access: Secret::from("acc\"ess"),
            refresh: Some(Secret::from("refresh")),
            scopes: vec!["a".to_owned()],
            issued: at(10),
            expires: Some(at(20)),
            ttl: Ttl { default: 1, maximum: 2 },
            notes: vec![("n".to_owned(), "v".to_owned())],
            ended: Some("why".to_owned()),
            strict_rotation: true,
            renewal: Renewal { intent: Some(Intent { since: at(15), tries: 2 }), failures: 3, not_before: Some(at(30)) },
        }
    }

    #[test]
    fn a_login_comes_back_as_it_went() {
        let grant = Arc::new(grant());
        let tags = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
        let bytes = encode(&Body::new(&Stored::Grant(Arc::clone(&grant)), &tags, grant.issued)).unwrap();
        let (stored, read, created) = decode::<Body>(&bytes).unwrap().open();
        let Stored::Grant(back) = stored else { panic!("a login") };
        assert_eq!((read, created), (tags, grant.issued));
        assert_eq!(format!("{back:?}"), format!("{grant:?}"));
        assert_eq!(back.access.expose(), "acc\"ess");
        assert_eq!(back.refresh.as_ref().unwrap().expose(), "refresh");
    }

    #[test]
    fn a_tombstone_comes_back_as_it_went() {
        let buried = Tombstone {
            id: "1".to_owned(),
            name: SecretName::parse("gone").unwrap(),
            grant: Arc::new(grant()),
            pending: vec![Kind::Refresh, Kind::Access],
            attempts: 1,
            not_before: UNIX_EPOCH - Duration::from_secs(5),
            buried: UNIX_EPOCH,
        };
        let back = decode::<Grave>(&encode(&Grave::new(&buried)).unwrap()).unwrap().open().unwrap();
        assert_eq!(format!("{back:?}"), format!("{buried:?}"));
    }

    #[test]
    fn a_login_of_the_first_version_is_read_for_ever() {
        let first = r#"{"stored":{"grant":{"provider":"p","lineage":"l","client_id":"c","issuer":null,"resolved":{},
            "account":null,"access":"a","refresh":null,"scopes":[],"issued":0,"expires":null,"ttl":{"default":1,"maximum":1},
            "notes":[],"ended":null,"strict_rotation":false}},"created":1}"#;
        assert!(matches!(decode::<Body>(first.as_bytes()).unwrap().open().0, Stored::Grant(_)));
    }
}
