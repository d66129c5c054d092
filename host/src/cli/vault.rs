//! `vault`: makes one, looks at it, locks and unlocks it, gives it other keys, takes its content out and in.
//!
//! A passphrase is asked on the terminal, or comes from the operator's command; never from an argument, which other
//! processes can read.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};

use super::failure::in_a_line;
use super::output::{print, print_json, say, there_are, time};
use super::terminal::hidden_line;
use super::{Options, quoted, whole};
use crate::config::{self, Config};
use crate::error::{Code, Error, Result};
use crate::secret::Secret;
use crate::vault::archive::{self, Opener, Readers};
use crate::vault::{self, NewKey, Sqlite, Vault as _};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Makes a vault, which all brokers and commands of this user share from then on. Its key goes into the operating
    /// system's keychain, unless you say otherwise.
    Init(KeyChoice),
    /// Says where the vault is, what opens it, and whether it is open.
    Status {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Gives the vault a new key and seals everything anew, all or nothing. Without an option: the same kind of key.
    Rekey(KeyChoice),
    /// Opens a vault that has a passphrase, for all brokers of this user, for a time.
    Unlock {
        /// How long, such as 30m, 8h, 5days; up to 30days.
        #[arg(long = "for", value_name = "TIME", default_value = "8h", value_parser = lasting)]
        lasts: Duration,
    },
    /// Takes the key of an unlocked vault away again.
    Lock,
    /// Writes everything in the vault into a new age file, sealed with a passphrase that is asked for.
    Export {
        /// The file. It must not be there yet.
        file: PathBuf,
        /// Seal it for this age recipient (age1…) instead; may be given more than once.
        #[arg(long, value_name = "RECIPIENT")]
        recipient: Vec<String>,
    },
    /// Stores what an exported age file holds, all or nothing. Names that are taken are refused.
    Import {
        /// The file.
        file: PathBuf,
        /// The file with the age identity (AGE-SECRET-KEY-1…) that opens it, instead of a passphrase.
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
        /// Replace what has the same name.
        #[arg(long)]
        replace: bool,
    },
}

/// What is to open the vault.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct KeyChoice {
    /// The operating system's keychain.
    #[arg(long)]
    keychain: bool,
    /// A passphrase: asked for here, or printed by [vault] key_command of broker.toml.
    #[arg(long)]
    passphrase: bool,
    /// A file of at least 32 bytes, readable for you alone; made where it does not exist.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

fn lasting(text: &str) -> std::result::Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| "write it like --for 30m, --for 8h or --for 5days, up to 30days")
}

pub(super) fn run(command: Command, options: &Options) -> Result<()> {
    let config = options.load()?;
    match command {
        Command::Init(choice) => init(&config, &choice, options),
        Command::Status { json } => status(&config, json),
        Command::Rekey(choice) => rekey(&config, &choice, options),
        Command::Unlock { lasts } => unlock(&config, lasts),
        Command::Lock => {
            let vault = Sqlite::find(&config.vault)?;
            vault.seal_off()?;
            say("The vault is locked. Brokers that run forget its key with their next call.")
        }
        Command::Export { file, recipient } => export(&config, &file, recipient),
        Command::Import { file, identity, replace } => import(&config, &file, identity.as_deref(), replace),
    }
}

fn init(config: &Config, choice: &KeyChoice, options: &Options) -> Result<()> {
    vault::check_free(&config.vault)?;
    let key = match choice.key(&config.vault)? {
        Some(key) => key,
        None if config.vault.key_command.is_some() => passphrase_key(&config.vault)?,
        None => config.vault.key_file.clone().map_or(NewKey::Keychain, NewKey::KeyFile),
    };
    let was_there = is_there(&key, options)?;
    let file = vault::init(&config.vault, &key)?;
    let opened = match &key {
        NewKey::Keychain => "Its key is in your keychain.".to_owned(),
        NewKey::KeyFile(path) => {
            let found = if was_there { FOUND } else { "" };
            format!("Its key is the file {}.{found} Without that file nobody can open it: keep a copy.", path.display())
        }
        NewKey::Passphrase(_) if config.vault.key_command.is_some() => {
            "Its passphrase is what [vault] key_command prints.".to_owned()
        }
        NewKey::Passphrase(_) => format!(
            "Nobody can open it without the passphrase. Open it for your brokers with: mcp-credentials-broker vault unlock --for 8h{}",
            options.repeated()
        ),
    };
    let used = if is_found_by_itself(&file, options)? {
        "Brokers use it from their next start on: restart your MCP clients.".to_owned()
    } else {
        format!(
            "Brokers use it where they are started with --vault {0}, or where [vault] path in broker.toml names it.",
            quoted(&file)
        )
    };
    print(&format!("The vault {} is made. {opened}\n{used}\n", file.display()))
}

/// Whether a broker that is started without `--vault` uses that file.
fn is_found_by_itself(file: &Path, options: &Options) -> Result<bool> {
    let named = config::load(options.config.as_deref())?.vault.path.or_else(vault::default_file);
    Ok(named.is_some_and(|named| whole(&named) == file))
}

/// Said of a key file that nobody had to make.
const FOUND: &str = " This file was there already: it is the key now; never change it.";

/// Whether the key is a file that is there already.
///
/// # Errors
/// `invalid_argument` for the configuration file, which people edit.
fn is_there(key: &NewKey, options: &Options) -> Result<bool> {
    let NewKey::KeyFile(path) = key else { return Ok(false) };
    let file = path.canonicalize().ok();
    let configuration = config::file(options.config.as_deref()).and_then(|file| file.canonicalize().ok());
    if file.is_some() && file == configuration {
        return Err(Error::new(
            Code::InvalidArgument,
            format!("{} is the configuration file: the next edit of it would close the vault for ever.", path.display()),
            "Name a file of the key's own, such as --key-file vault.key. It is made.",
        ));
    }
    Ok(file.is_some())
}

fn status(config: &Config, json: bool) -> Result<()> {
    let vault = Sqlite::find(&config.vault)?;
    let status = vault.status()?;
    let until = status.until.map(|until| humantime::format_rfc3339_seconds(until).to_string());
    if json {
        let document = serde_json::json!({
            "file": status.file.display().to_string(),
            "key": status.key,
            "keyVersion": status.key_version,
            "bytes": status.bytes,
            "open": status.secrets.is_ok(),
            "secrets": status.secrets.as_ref().ok(),
            "code": status.secrets.as_ref().err().map(|error| error.code().as_str()),
            "until": until,
        });
        return print_json(&document);
    }
    let state = match (&status.secrets, until) {
        (Ok(_), Some(until)) => format!("unlocked until {until}"),
        (Ok(_), None) => "open".to_owned(),
        (Err(error), _) => format!("{}: {}", error.code().as_str(), in_a_line(error)),
    };
    let secrets = status.secrets.as_ref().map_or_else(|_| "not known now".to_owned(), usize::to_string);
    print(&format!(
        "file      {}\nkey       {}, version {}\nstate     {state}\nsecrets   {secrets}\nbytes     {}\n",
        status.file.display(),
        status.key,
        status.key_version,
        status.bytes
    ))
}

fn rekey(config: &Config, choice: &KeyChoice, options: &Options) -> Result<()> {
    let vault = opened(config)?;
    let key = match (choice.key(&config.vault)?, vault.status()?.key) {
        (Some(key), _) => key,
        (None, "keychain") => NewKey::Keychain,
        (None, "passphrase") => passphrase_key(&config.vault)?,
        (None, _) => {
            let hint = "Name a new file with --key-file FILE, or use --keychain or --passphrase.";
            return Err(Error::new(Code::InvalidArgument, "A new key file needs a name.", hint));
        }
    };
    let was_there = is_there(&key, options)?;
    vault.rekey(&key)?;
    let then = match key {
        NewKey::KeyFile(_) if was_there => FOUND,
        NewKey::Passphrase(_) if config.vault.key_command.is_none() => " It is locked now.",
        _ => "",
    };
    say(&format!("The vault has a new key, and everything in it is sealed with it.{then}"))
}

fn unlock(config: &Config, lasts: Duration) -> Result<()> {
    let vault = Sqlite::find(&config.vault)?;
    vault.check_lockable()?;
    let until = vault.unlock(&hidden_line("Passphrase of the vault: ", "the vault's passphrase")?, lasts)?;
    say(&format!("The vault is unlocked until {}. Brokers that run see it at once.", time(until)))
}

fn export(config: &Config, file: &Path, recipients: Vec<String>) -> Result<()> {
    let vault = opened(config)?;
    let readers = match recipients.as_slice() {
        [] => Readers::Passphrase(ask_twice("Passphrase for the exported file: ", "the passphrase for the exported file")?),
        _ => Readers::Recipients(recipients),
    };
    let contents = vault.contents()?;
    let count = contents.len();
    archive::write(file, contents, &readers)?;
    say(&format!("{} in {}.", there_are(count as u64, "secret"), file.display()))
}

fn import(config: &Config, file: &Path, identity: Option<&Path>, replace: bool) -> Result<()> {
    let vault = opened(config)?;
    let opener = match identity {
        Some(identity) => {
            let source = config::Source::Elsewhere(config::Elsewhere::File(identity.to_owned()));
            let text = config::source::read(&source);
            Opener::Identities(
                text.map_err(|error| error.with_hint("Correct --identity: it names the file with the age identity."))?,
            )
        }
        None if archive::has_passphrase(file)? => {
            Opener::Passphrase(hidden_line("Passphrase of the file: ", "the passphrase of the exported file")?)
        }
        None => {
            let hint = "Name the file with that identity: --identity FILE.";
            return Err(Error::new(Code::InvalidArgument, "The file is sealed for an age identity.", hint));
        }
    };
    let count = vault.import(archive::read(file, &opener)?, replace)?;
    say(&format!("{} in the vault now, from {}.", there_are(count as u64, "secret"), file.display()))
}

/// The vault with its keys at hand, by a typed passphrase if need be. Where nobody is there to give one, it is what it
/// was: locked.
fn opened(config: &Config) -> Result<Sqlite> {
    let vault = Sqlite::find(&config.vault)?;
    match vault.ready() {
        Err(error) if matches!(error.code(), Code::VaultLocked | Code::WrongKey) && vault.status()?.key == "passphrase" => {
            let given = hidden_line("Passphrase of the vault: ", "the vault's passphrase");
            let nobody = |given: Error| if std::io::stdin().is_terminal() { given } else { error };
            vault.open_by(&given.map_err(nobody)?)?;
        }
        done => done?,
    }
    Ok(vault)
}

impl KeyChoice {
    /// What was chosen, if anything was.
    fn key(&self, config: &config::Vault) -> Result<Option<NewKey>> {
        Ok(match (&self.key_file, self.passphrase, self.keychain) {
            (Some(file), ..) => Some(NewKey::KeyFile(file.clone())),
            (None, true, _) => Some(passphrase_key(config)?),
            (None, false, true) => Some(NewKey::Keychain),
            (None, false, false) => None,
        })
    }
}

/// A new passphrase: what the operator's command prints, or what is typed twice.
fn passphrase_key(config: &config::Vault) -> Result<NewKey> {
    let passphrase = match vault::command_passphrase(config)? {
        Some(passphrase) => passphrase,
        None => ask_twice("New passphrase for the vault: ", "the vault's new passphrase")?,
    };
    Ok(NewKey::Passphrase(passphrase))
}

/// A new passphrase is typed twice: a slip would lock everything away. What a program gives has none.
fn ask_twice(prompt: &str, what: &str) -> Result<Secret> {
    let first = hidden_line(prompt, what)?;
    if !std::io::stdin().is_terminal() || first.same(&hidden_line("Once more: ", what)?) {
        return Ok(first);
    }
    Err(Error::new(Code::InvalidArgument, "The two passphrases differ.", "Try again. Nothing was made or changed."))
}
