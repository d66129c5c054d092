//! A vault's content as an age file (age-encryption.org/v1), which other programs can open, too: for a backup, another
//! machine, or a vault whose key is about to be lost.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::str::FromStr as _;

use age::secrecy::SecretString;
use age::{Decryptor, Encryptor, Identity, Recipient};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::codec::{Body, Grave, decode, encode};
use crate::error::{Code, Error, Result, foreign};
use crate::secret::{Secret, SecretName};

/// What a vault holds.
#[derive(Default)]
pub struct Contents {
    pub(super) secrets: Vec<(SecretName, Body)>,
    pub(super) tombstones: Vec<Grave>,
}

impl Contents {
    /// How many secrets.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.secrets.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }
}

/// Who can open an archive.
#[derive(Debug, Clone)]
pub enum Readers {
    /// Whoever knows this passphrase.
    Passphrase(Secret),
    /// Whoever has the identity of one of these: `age1…`.
    Recipients(Vec<String>),
}

/// What opens an archive.
#[derive(Debug, Clone)]
pub enum Opener {
    /// A passphrase.
    Passphrase(Secret),
    /// The text of an identity file, as `age-keygen` writes it.
    Identities(Secret),
}

/// The form of the document inside; another one gets another number.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Document {
    format: u32,
    secrets: Vec<Named>,
    #[serde(default)]
    tombstones: Vec<Grave>,
}

#[derive(Serialize, Deserialize)]
struct Named {
    name: String,
    #[serde(flatten)]
    body: Body,
}

/// Writes an archive; a file that is there is not overwritten.
///
/// # Errors
/// `conflict`, `vault_unwritable`, `invalid_argument` for a recipient that is none.
pub fn write(file: &Path, contents: Contents, readers: &Readers) -> Result<()> {
    let secrets = contents.secrets.into_iter().map(|(name, body)| Named { name: name.as_str().to_owned(), body });
    let document = Document { format: FORMAT, secrets: secrets.collect(), tombstones: contents.tombstones };
    let plain = encode(&document)?;
    let sealed = seal(&plain, readers)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let unwritable = |error: std::io::Error| {
        let hint = "Name a place where you may write.";
        Error::new(Code::VaultUnwritable, format!("{} cannot be written: {error}.", file.display()), hint)
    };
    let mut out = match options.open(file) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let hint = "Name a new file; nothing is overwritten.";
            return Err(Error::new(Code::Conflict, format!("{} exists already.", file.display()), hint));
        }
        other => other.map_err(unwritable)?,
    };
    let written = out.write_all(&sealed).and_then(|()| out.sync_all());
    if written.is_err() {
        // Half an archive is none.
        let _ = std::fs::remove_file(file);
    }
    written.map_err(unwritable)
}

fn seal(plain: &[u8], readers: &Readers) -> Result<Vec<u8>> {
    let failed =
        |what: String| Error::new(Code::InvalidArgument, what, "Use recipients such as age1…, as age-keygen prints them.");
    let encryptor = match readers {
        Readers::Passphrase(passphrase) => Encryptor::with_user_passphrase(SecretString::from(passphrase.expose().to_owned())),
        Readers::Recipients(texts) => {
            let parse = |text: &String| {
                age::x25519::Recipient::from_str(text).map_err(|_| failed(format!("{} is no age recipient.", foreign(text))))
            };
            let recipients = texts.iter().map(parse).collect::<Result<Vec<_>>>()?;
            Encryptor::with_recipients(recipients.iter().map(|recipient| recipient as &dyn Recipient))
                .map_err(|error| failed(format!("Nobody could open it: {error}.")))?
        }
    };
    let mut sealed = Vec::with_capacity(plain.len() + plain.len() / 1000 + 4096);
    let write = |sealed: &mut Vec<u8>| {
        let mut writer = encryptor.wrap_output(sealed)?;
        writer.write_all(plain)?;
        writer.finish().map(drop)
    };
    write(&mut sealed)
        .map_err(|error| Error::new(Code::Internal, format!("The archive cannot be sealed: {error}."), "Try again."))?;
    Ok(sealed)
}

/// Whether an archive asks for a passphrase.
///
/// # Errors
/// As [`read`].
pub fn has_passphrase(file: &Path) -> Result<bool> {
    let opened = std::fs::File::open(file).map_err(|error| unreadable(file, &error.to_string()))?;
    Decryptor::new(opened).map(|decryptor| decryptor.is_scrypt()).map_err(|error| unreadable(file, &error.to_string()))
}

/// Reads an archive.
///
/// # Errors
/// `invalid_argument` for a file that is none, `wrong_key`.
pub fn read(file: &Path, opener: &Opener) -> Result<Contents> {
    let opened = std::fs::File::open(file).map_err(|error| unreadable(file, &error.to_string()))?;
    let size = opened.metadata().map_or(0, |metadata| metadata.len());
    let decryptor = Decryptor::new(opened).map_err(|error| unreadable(file, &error.to_string()))?;
    let wrong = |_| {
        let hint = "Use the passphrase, or with --identity the identity, that it was made for.";
        Error::new(Code::WrongKey, format!("That does not open {}.", file.display()), hint)
    };
    let mut reader = match opener {
        Opener::Passphrase(passphrase) => {
            let identity = age::scrypt::Identity::new(SecretString::from(passphrase.expose().to_owned()));
            decryptor.decrypt(std::iter::once(&identity as &dyn Identity)).map_err(wrong)?
        }
        Opener::Identities(text) => {
            let lines = text.expose().lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            let identities = lines.map(age::x25519::Identity::from_str).collect::<std::result::Result<Vec<_>, _>>();
            let identities = identities.map_err(|_| {
                let hint = "Name a file as age-keygen writes it, with a line AGE-SECRET-KEY-1….";
                Error::new(Code::InvalidArgument, "The identity file has a line that is no age identity.", hint)
            })?;
            decryptor.decrypt(identities.iter().map(|identity| identity as &dyn Identity)).map_err(wrong)?
        }
    };
    // As large as the file, so that it never moves.
    let mut plain = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0)));
    reader.read_to_end(&mut plain).map_err(|error| unreadable(file, &error.to_string()))?;
    let document: Document = decode(&plain)?;
    if document.format != FORMAT {
        let hint = "Use the version of mcp-credentials-broker that wrote it.";
        return Err(Error::new(Code::VaultNewer, "The archive has a form that this version does not know.", hint));
    }
    let secrets = document.secrets.into_iter().map(|Named { name, body }| Ok((SecretName::parse(&name)?, body)));
    Ok(Contents { secrets: secrets.collect::<Result<_>>()?, tombstones: document.tombstones })
}

fn unreadable(file: &Path, why: &str) -> Error {
    Error::new(
        Code::InvalidArgument,
        format!("{} cannot be read as an age file: {}.", file.display(), foreign(why)),
        "Name a file that `mcp-credentials-broker vault export` wrote.",
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::SystemTime;

    use age::secrecy::ExposeSecret as _;

    use super::*;
    use crate::vault::Stored;

    fn contents() -> Contents {
        let body = Body::new(&Stored::Static(Secret::from("canary-value")), &BTreeMap::new(), SystemTime::now());
        Contents { secrets: vec![(SecretName::parse("canary-name").unwrap(), body)], tombstones: Vec::new() }
    }

    #[test]
    fn an_archive_is_opened_by_its_identity_and_no_other_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out.age");
        let identity = age::x25519::Identity::generate();
        let readers = Readers::Recipients(vec![identity.to_public().to_string()]);
        write(&file, contents(), &readers).unwrap();
        assert_eq!(write(&file, contents(), &readers).unwrap_err().code(), Code::Conflict);
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
        let opener = |identity: &age::x25519::Identity| {
            Opener::Identities(Secret::from(format!("# a comment\n{}\n", identity.to_string().expose_secret()).as_str()))
        };
        let back = read(&file, &opener(&identity)).unwrap();
        assert_eq!((back.len(), back.secrets[0].0.as_str()), (1, "canary-name"));
        assert_eq!(read(&file, &opener(&age::x25519::Identity::generate())).err().unwrap().code(), Code::WrongKey);
        assert!(!has_passphrase(&file).unwrap());
        std::fs::write(&file, &bytes[..bytes.len() - 5]).unwrap();
        assert_eq!(read(&file, &opener(&identity)).err().unwrap().code(), Code::InvalidArgument);
    }

    #[test]
    fn a_recipient_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(&folder.path().join("x"), contents(), &Readers::Recipients(vec!["bob".to_owned()])).unwrap_err();
        assert!(error.code() == Code::InvalidArgument && error.message().contains("bob"), "{error}");
    }
}
