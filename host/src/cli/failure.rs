//! How a command fails: `Error: …`, `Hint: …`, and a code by kind.

use std::process::ExitCode;

use clap::error::ErrorKind;

use super::output::print;
use crate::error::{Code, Error};

/// Says what went wrong and what to do.
pub(super) fn told(error: &Error) -> ExitCode {
    say(error.message(), &for_people(error.hint()));
    ExitCode::from(exit_code(error.code()))
}

/// The broker's hints name tools, since agents read them most; a person has commands.
fn for_people(hint: &str) -> String {
    const COMMANDS: [(&str, &str); 6] = [
        ("start_oauth_flow", "`mcp-credentials-broker login`"),
        ("list_secrets", "`mcp-credentials-broker secrets list`"),
        ("delete_secret", "`mcp-credentials-broker secrets delete`"),
        ("revoke_secret", "`mcp-credentials-broker logout`"),
        ("store_secret", "`mcp-credentials-broker secrets set`"),
        ("list_providers", "`mcp-credentials-broker providers list`"),
    ];
    COMMANDS
        .iter()
        .fold(hint.to_owned(), |hint, (tool, command)| hint.replace(tool, command))
        .replace("Call `", "Run `")
        .replace("call `", "run `")
}

fn say(message: &str, hint: &str) {
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
        print(&text);
        return ExitCode::SUCCESS;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        eprint!("{text}");
    } else {
        let (message, hint) = in_our_words(&text);
        say(&message, &hint);
    }
    ExitCode::from(2)
}

/// Clap writes paragraphs: `error: what`, perhaps `tip: …`, `Usage: …`, and a pointer to --help.
fn in_our_words(text: &str) -> (String, String) {
    let mut paragraphs = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let message = paragraphs.next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    let rest: Vec<String> = paragraphs.filter(|part| !part.is_empty()).collect();
    let tip = rest.iter().find_map(|part| part.strip_prefix("tip: "));
    let usage = rest.iter().find(|part| part.starts_with("Usage: "));
    let hint = tip.or(usage.map(String::as_str)).unwrap_or("--help shows all commands and options.");
    (sentence(message), sentence(hint))
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
        let (message, hint) = in_our_words(text);
        assert_eq!(message, "Unexpected argument '--fo' found.");
        assert_eq!(hint, "A similar argument exists: '--foo'.");
        let (message, hint) =
            in_our_words("error: the following required arguments were not provided:\n  <NAME>\n\nUsage: x <NAME>\n");
        assert_eq!(message, "The following required arguments were not provided: <NAME>");
        assert_eq!(hint, "Usage: x <NAME>");
    }

    #[test]
    fn a_hint_names_commands_to_a_person() {
        let hint = for_people("Call list_secrets for the names there are, or start_oauth_flow to sign in.");
        let expected =
            "Run `mcp-credentials-broker secrets list` for the names there are, or `mcp-credentials-broker login` to sign in.";
        assert_eq!(hint, expected);
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
