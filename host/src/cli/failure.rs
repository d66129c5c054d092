//! How a command fails: `Error: …`, `Hint: …`, and a code by kind.

use std::error::Error as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use serde_json::json;

use super::output::{print, say, was_anything_printed};
use crate::error::{Code, Error};

/// Says what went wrong and what to do. A program that asked for a document gets one of this, too, unless it has one.
pub(super) fn told(error: &Error, json: bool) -> ExitCode {
    if json && !was_anything_printed() {
        let document = json!({ "error": error.message(), "code": error.code().as_str(), "hint": for_people(error.hint()) });
        // The exit code tells as well.
        let _ = say(&document.to_string());
    }
    told_as(error, exit_code(error.code()))
}

/// The same with the code that a shell would end with.
pub(super) fn told_as(error: &Error, code: u8) -> ExitCode {
    told_in_words(error.message(), &for_people(error.hint()));
    ExitCode::from(code)
}

/// All of it in one line, as [`Error`] writes it, for a person.
pub(super) fn in_a_line(error: &Error) -> String {
    format!("{} {}", error.message(), for_people(error.hint())).trim_end().to_owned()
}

/// The broker's hints name tools and speak of the operator, since agents read them most; a person has commands, and is
/// the operator.
pub(super) fn for_people(hint: &str) -> String {
    const WORDS: [(&str, &str); 13] = [
        ("Ask the operator to type in a terminal: ", "Run: "),
        ("Ask the operator to set ", "Set "),
        (" in the environment of the MCP server", " in the environment"),
        ("ask the operator to ", ""),
        ("The operator can look at it and approve it, in a terminal: ", "Look at it and approve it: "),
        ("The operator can, in broker.toml, ", "Add to broker.toml, "),
        ("The operator can add one: ", "Add one: "),
        ("The operator can allow ", "Allow "),
        ("The operator should check ", "Check "),
        ("The operator should register ", "Register "),
        ("A person can replace it: ", "To replace it: "),
        ("Use another secret_name", "Use another --name"),
        (" and secret_name \"", " and --name \""),
    ];
    const COMMANDS: [(&str, &str); 6] = [
        ("start_oauth_flow", "`mcp-credentials-broker login`"),
        ("list_secrets", "`mcp-credentials-broker secrets list`"),
        ("delete_secret", "`mcp-credentials-broker secrets delete`"),
        ("revoke_secret", "`mcp-credentials-broker logout`"),
        ("store_secret", "`mcp-credentials-broker secrets set`"),
        ("list_providers", "`mcp-credentials-broker providers list`"),
    ];
    WORDS
        .iter()
        .chain(&COMMANDS)
        .fold(hint.to_owned(), |hint, (agents, peoples)| hint.replace(agents, peoples))
        .replace("Call `", "Run `")
        .replace("call `", "run `")
}

fn told_in_words(message: &str, hint: &str) {
    eprintln!("Error: {message}");
    if !hint.is_empty() {
        eprintln!("Hint: {hint}");
    }
}

/// Exit codes by kind: 2 for what was typed or configured, 3 for what the operator does not allow, 4 for a login that
/// is needed or failed, 5 for a provider or component at fault, 6 for a vault that cannot be used as it is, 1 for the
/// rest.
const fn exit_code(code: Code) -> u8 {
    match code {
        Code::InvalidArgument
        | Code::InvalidTtl
        | Code::InvalidConfiguration
        | Code::UnknownProvider
        | Code::UnknownSecret
        | Code::NotConfigured => 2,
        Code::NotAllowed | Code::Conflict | Code::Unsupported => 3,
        Code::Denied | Code::Expired | Code::SignInAgain | Code::Cancelled => 4,
        Code::Unavailable | Code::ProviderError | Code::ComponentFault | Code::ComponentRejected => 5,
        Code::VaultLocked
        | Code::VaultMissing
        | Code::WrongKey
        | Code::VaultTampered
        | Code::VaultDamaged
        | Code::VaultBusy
        | Code::VaultUnwritable
        | Code::VaultNewer
        | Code::KeychainUnavailable => 6,
        _ => 1,
    }
}

/// A command line that cannot be read, in the same words as every other failure; or help, which is none.
pub(super) fn misread(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if !error.use_stderr() {
        return print(&text).map_or_else(|error| told(&error, false), |()| ExitCode::SUCCESS);
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        eprint!("{text}");
    } else {
        let reason = error.source().map(ToString::to_string);
        let (message, hint) = in_our_words(&text, reason.as_deref());
        told_in_words(&message, &hint);
    }
    ExitCode::from(2)
}

/// Clap writes paragraphs: `error: what`, perhaps `tip: …`, `Usage: …`, and a pointer to --help. `reason` is what one of
/// our parsers says of a value, at the end of the first: the form that it must have.
fn in_our_words(text: &str, reason: Option<&str>) -> (String, String) {
    let mut paragraphs = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let message = paragraphs.next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    let message =
        reason.and_then(|reason| message.strip_suffix(reason)).map_or(message, |message| message.trim_end_matches(": "));
    let rest: Vec<String> = paragraphs.filter(|part| !part.is_empty()).collect();
    // No option is meant as a value here.
    let tip = rest.iter().find_map(|part| part.strip_prefix("tip: ")).filter(|tip| !tip.starts_with("to pass '"));
    let usage = rest.iter().find(|part| part.starts_with("Usage: "));
    let hint = reason.or(tip).map(sentence).or(usage.cloned());
    (sentence(message), hint.unwrap_or_else(|| "--help shows all commands and options.".to_owned()))
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', ']', '>']) { "" } else { "." };
    format!("{first}{}{end}", characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parsers_words_become_a_message_and_a_hint() {
        let text = "error: unexpected argument '--fo' found\n\n  tip: a similar argument exists: '--foo'\n\nUsage: x [OPTIONS]\n\nFor more information, try '--help'.\n";
        let (message, hint) = in_our_words(text, None);
        assert_eq!(message, "Unexpected argument '--fo' found.");
        assert_eq!(hint, "A similar argument exists: '--foo'.");
        let (message, hint) =
            in_our_words("error: the following required arguments were not provided:\n  <NAME>\n\nUsage: x <NAME>\n", None);
        assert_eq!(message, "The following required arguments were not provided: <NAME>");
        assert_eq!(hint, "Usage: x <NAME>");
        let (message, hint) = in_our_words("error: invalid value 'a: b' for '--t <T>': write it\n\nFor more", Some("write it"));
        assert_eq!((message.as_str(), hint.as_str()), ("Invalid value 'a: b' for '--t <T>'.", "Write it."));
        let (_, hint) = in_our_words("error: x\n\n  tip: to pass '--j' as a value, use '-- --j'\n\nUsage: x rekey --j\n", None);
        assert_eq!(hint, "Usage: x rekey --j", "a command line, not a sentence");
    }

    #[test]
    fn a_hint_names_commands_to_a_person() {
        let hint = for_people("Call list_secrets for the names there are, or start_oauth_flow to sign in.");
        let expected =
            "Run `mcp-credentials-broker secrets list` for the names there are, or `mcp-credentials-broker login` to sign in.";
        assert_eq!(hint, expected);
        for (agents, peoples) in [
            ("Ask the operator to type in a terminal: x vault unlock", "Run: x vault unlock"),
            (
                "Ask the operator to set it in the environment of the MCP server, or in [providers.github] of broker.toml.",
                "Set it in the environment, or in [providers.github] of broker.toml.",
            ),
            ("The operator should check client id and client secret.", "Check client id and client secret."),
            ("Ask for fewer scopes, or ask the operator to add it.", "Ask for fewer scopes, or add it."),
            ("Use another secret_name. A person can replace it: x.", "Use another --name. To replace it: x."),
        ] {
            assert_eq!(for_people(agents), peoples);
        }
    }

    #[test]
    fn every_kind_has_its_exit_code() {
        for (code, exit) in [
            (Code::InvalidArgument, 2),
            (Code::Conflict, 3),
            (Code::Cancelled, 4),
            (Code::ProviderError, 5),
            (Code::VaultLocked, 6),
            (Code::VaultMissing, 6),
            (Code::Internal, 1),
            (Code::PortTaken, 1),
        ] {
            assert_eq!(exit_code(code), exit, "{code:?}");
        }
    }
}
