//! `[exec]`, `[wrap]`, `[git]` and `[token_command]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Item, Paths, Section, optional};
use crate::config::doors::{Doors, Exec, Git, Place, Program, Step, Wrap};
use crate::error::Result;
use crate::secret::SecretName;

/// The longest text before a secret.
const MAX_PREFIX: usize = 64;

pub(super) fn read(root: &mut Section<'_>, paths: &Paths<'_>) -> Result<Doors> {
    Ok(Doors {
        exec: each(root.section("exec")?, "exec", |section| exec(section, paths))?,
        wrap: each(root.section("wrap")?, "wrap", |section| wrap(section, paths))?,
        git: git(root.section("git")?)?,
        token_command: token_command(root.section("token_command")?)?,
    })
}

/// The tables of a table, each called in messages as it is written.
fn each<'a, T>(section: Section<'a>, kind: &str, read: impl Fn(Section<'a>) -> Result<T>) -> Result<BTreeMap<String, T>> {
    let one = |(name, item): (String, Item<'a>)| {
        let header = format!("[{kind}.\"{}\"]", name.escape_debug());
        let table = item.table("a table", &format!("{header}, with its keys on the lines below"))?;
        Ok((name, read(table.named(header))?))
    };
    section.rest().into_iter().map(one).collect()
}

fn exec(mut section: Section<'_>, paths: &Paths<'_>) -> Result<Exec> {
    let missing = section.error("needs program and secrets", "Add: program = \"/usr/bin/gh\" and secrets = [\"github-token\"].");
    let path = optional(&mut section, "program", |item| program(&item, paths))?;
    let arguments = optional(&mut section, "arguments", |item| words(&item))?.unwrap_or_default();
    let secrets = optional(&mut section, "secrets", |item| secrets(&item))?;
    let refresh_file = optional(&mut section, "refresh_file", |item| {
        item.parsed(whole(paths), "the whole path of a file", "refresh_file = \"/run/user/1000/token\"")
    })?;
    section.finish()?;
    match (path, secrets) {
        (Some(path), Some(secrets)) => Ok(Exec { program: Program { path, arguments }, secrets, refresh_file }),
        _ => Err(missing),
    }
}

fn wrap(mut section: Section<'_>, paths: &Paths<'_>) -> Result<Wrap> {
    let path = optional(&mut section, "program", |item| program(&item, paths))?;
    let arguments = optional(&mut section, "arguments", |item| words(&item))?.unwrap_or_default();
    let allow = optional(&mut section, "allow", places)?.unwrap_or_default();
    section.finish()?;
    Ok(Wrap { program: path.map(|path| Program { path, arguments }), allow })
}

fn program(item: &Item<'_>, paths: &Paths<'_>) -> Result<PathBuf> {
    item.parsed(whole(paths), "the whole path of a program", "program = \"/usr/bin/gh\"")
}

/// A relative name would mean another file in another folder.
fn whole(paths: &Paths<'_>) -> impl Fn(&str) -> Option<PathBuf> {
    |text| {
        let path = super::expand(std::path::Path::new(text), paths.home);
        path.is_absolute().then_some(path)
    }
}

fn words(item: &Item<'_>) -> Result<Vec<String>> {
    item.list(|text| Some(text.to_owned()), "a list of arguments", "arguments = [\"/opt/server/index.js\"]")
}

fn secrets(item: &Item<'_>) -> Result<Vec<SecretName>> {
    item.list(name, "a list of names of secrets", "secrets = [\"github-token\"]")
}

fn name(text: &str) -> Option<SecretName> {
    SecretName::parse(text).ok()
}

fn places(item: Item<'_>) -> Result<Vec<Place>> {
    let form = "allow = [{ tool = \"create_issue\", argument = \"/token\", secret = \"github-token\" }]";
    item.tables("a list of tables", form)?.into_iter().map(place).collect()
}

fn place(mut section: Section<'_>) -> Result<Place> {
    let whole = "{ tool = \"create_issue\", argument = \"/token\", secret = \"github-token\" }";
    let missing = section.error("needs tool, argument and secret", &format!("Write it as {whole}."));
    let not_empty = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let tool = optional(&mut section, "tool", |item| item.parsed(not_empty, "a tool's name, or \"*\"", "tool = \"*\""))?;
    let expected = "a JSON Pointer into the tool's arguments";
    let argument = optional(&mut section, "argument", |item| item.parsed(pointer, expected, "argument = \"/token\""))?;
    let secret = optional(&mut section, "secret", |item| item.parsed(name, "the name of a secret", "secret = \"github-token\""))?;
    let expected = "a text of at most 64 characters without \"secret:\"";
    let prefix = optional(&mut section, "prefix", |item| item.parsed(prefix, expected, "prefix = \"Bearer \""))?;
    section.finish()?;
    match (tool, argument, secret) {
        (Some(tool), Some(argument), Some(secret)) => Ok(Place { tool, argument, secret, prefix: prefix.unwrap_or_default() }),
        _ => Err(missing),
    }
}

/// RFC 6901. The empty pointer would be the arguments as a whole, which are no text.
fn pointer(text: &str) -> Option<Vec<Step>> {
    let sound = |step: &str| step.match_indices('~').all(|(at, _)| matches!(step.as_bytes().get(at + 1), Some(b'0' | b'1')));
    let plain = |step: &str| Step::of_pointer(step.replace("~1", "/").replace("~0", "~"));
    text.strip_prefix('/')?.split('/').map(|step| sound(step).then(|| plain(step))).collect()
}

fn prefix(text: &str) -> Option<String> {
    let sound = text.chars().count() <= MAX_PREFIX && !text.chars().any(char::is_control) && !text.contains("secret:");
    sound.then(|| text.to_owned())
}

fn git(section: Section<'_>) -> Result<BTreeMap<String, Git>> {
    let host = |(host, item): (String, Item<'_>)| {
        let lower = host.to_ascii_lowercase();
        if !is_host(&lower) {
            let hint = "Write a host name, with its port where it is not 443: \"github.com\" = \"github-token\".";
            return Err(item.error("is no host name", hint));
        }
        Ok((lower, credential(item)?))
    };
    section.rest().into_iter().map(host).collect()
}

fn is_host(text: &str) -> bool {
    let (name, port) = text.rsplit_once(':').unwrap_or((text, "443"));
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        && port.parse::<u16>().is_ok_and(|port| port != 0)
}

fn credential(item: Item<'_>) -> Result<Git> {
    let form = "\"github-token\" or { secret = \"gitlab-token\", username = \"oauth2\" }";
    let expected = "the name of a secret, or a table with secret and username";
    if item.text().is_some() {
        return Ok(Git { secret: item.parsed(name, expected, form)?, username: None });
    }
    let wrong = item.wrong(expected, form);
    let mut section = item.table(expected, form)?;
    let secret = optional(&mut section, "secret", |item| item.parsed(name, "the name of a secret", form))?;
    let user = |text: &str| (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned());
    let username = optional(&mut section, "username", |item| item.parsed(user, "a user name", "username = \"oauth2\""))?;
    section.finish()?;
    Ok(Git { secret: secret.ok_or(wrong)?, username })
}

fn token_command(mut section: Section<'_>) -> Result<Vec<SecretName>> {
    let listed = optional(&mut section, "secrets", |item| secrets(&item))?.unwrap_or_default();
    section.finish()?;
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn read(text: &str) -> Result<Config> {
        crate::config::parse::parse(Path::new("/etc/b.toml"), text, Path::new("/etc"), Some(Path::new("/home/u")))
    }

    fn secret(text: &str) -> SecretName {
        SecretName::parse(text).unwrap()
    }

    #[test]
    fn every_key_of_the_doors_is_read() {
        let doors = read(
            r#"
            [exec."gh"]
            program = "/usr/bin/gh"
            secrets = ["github-token"]
            [exec."server"]
            program = "~/bin/node"
            arguments = ["/opt/s.js"]
            secrets = []
            refresh_file = "~/token"
            [wrap."github-mcp"]
            program = "/usr/bin/github-mcp"
            allow = [
                { tool = "*", argument = "/token", secret = "github-token" },
                { tool = "fetch", argument = "/a~1b/~0/0/", secret = "x", prefix = "Bearer " },
            ]
            [git]
            "GitHub.com" = "github-token"
            "git.example.com:8443" = { secret = "gl", username = "oauth2" }
            [token_command]
            secrets = ["github-token"]
            "#,
        )
        .unwrap()
        .doors;
        assert_eq!(doors.exec["gh"].program, Program { path: "/usr/bin/gh".into(), arguments: Vec::new() });
        assert_eq!(doors.exec["server"].program.path, Path::new("/home/u/bin/node"));
        let allow = &doors.wrap["github-mcp"].allow;
        assert_eq!((allow[0].tool.as_str(), allow[0].prefix.as_str()), ("*", ""));
        assert_eq!(doors.exec["server"].refresh_file.as_deref(), Some(Path::new("/home/u/token")));
        let member = |name: &str| Step::Member(name.to_owned());
        assert_eq!(allow[1].argument, [member("a/b"), member("~"), Step::Element(0), member("")]);
        let steps = pointer("/00/-/1x/99999999999999999999").unwrap();
        assert_eq!(steps, ["00", "-", "1x", "99999999999999999999"].map(member), "no index of a list");
        assert_eq!(doors.git["github.com"], Git { secret: secret("github-token"), username: None });
        assert_eq!(doors.git["git.example.com:8443"].username.as_deref(), Some("oauth2"));
        assert_eq!(doors.token_command, [secret("github-token")]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, word) in [
            ("[exec.gh]\nprogram = \"gh\"\nsecrets = []", "whole path"),
            ("[exec.gh]\nprogram = \"./gh\"\nsecrets = []", "whole path"),
            ("[exec.gh]\nsecrets = []", "needs program and secrets"),
            ("[exec.gh]\nprogram = \"/gh\"", "needs program and secrets"),
            ("[exec.gh]\nprogram = \"/gh\"\nsecret = \"x\"\nsecrets = []", "no key \"secret\""),
            ("[exec.gh]\nprogram = \"/gh\"\nsecrets = [\"a b\"]", "names of secrets"),
            ("[exec.gh]\nprogram = \"/gh\"\nsecrets = []\nrefresh_file = \"token\"", "whole path"),
            ("exec = 1", "table"),
            ("[wrap.x]\nallow = [{ tool = \"t\", secret = \"s\" }]", "needs tool, argument and secret"),
            ("[wrap.x]\nallow = [{ tool = \"t\", argument = \"token\", secret = \"s\" }]", "JSON Pointer"),
            ("[wrap.x]\nallow = [{ tool = \"t\", argument = \"\", secret = \"s\" }]", "JSON Pointer"),
            ("[wrap.x]\nallow = [{ tool = \"t\", argument = \"/a~2\", secret = \"s\" }]", "JSON Pointer"),
            (
                "[wrap.x]\nallow = [{ tool = \"t\", argument = \"/a\", secret = \"s\", prefix = \"secret:\" }]",
                "without \"secret:\"",
            ),
            ("[wrap.x]\nallow = { tool = \"t\" }", "list of tables"),
            ("[wrap.x]\nallow = [\"t\"]", "list of tables"),
            ("[git]\n\"https://github.com\" = \"x\"", "no host name"),
            ("[git]\n\"github.com/org\" = \"x\"", "no host name"),
            ("[git]\n\"a@github.com\" = \"x\"", "no host name"),
            ("[git]\n\"github.com\" = { username = \"x\" }", "name of a secret"),
            ("[git]\n\"github.com\" = 1", "name of a secret"),
            ("[token_command]\nsecrets = \"x\"", "names of secrets"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.to_string().contains(word) && error.message().contains("/etc/b.toml line "), "{text}: {error}");
        }
    }
}
