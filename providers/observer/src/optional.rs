//! The optional interfaces, all of which it exports, and what it may try with what they lend it.

use credentials_broker_provider::{
    Account, Device, Failure, Minting, Pairs, Request, Revocation, Secret, Tokens, pair, standard,
};

use crate::report::Report;
use crate::{Observer, memory, mode, read, swapped};

impl Revocation for Observer {
    /// Revokes as RFC 7009 has it, having looked at what it was lent; `revoke-word` answers with a word of its own.
    fn revoke(token: &Secret, notes: &[(String, String)]) -> Result<String, Failure> {
        let mut report = Report::default();
        notes.iter().for_each(|(name, value)| report.add(name, value));
        read::handle("lent", token, &mut report);
        memory::search(&mut report);
        report.log();
        match mode().as_str() {
            "revoke-word" => Ok("perhaps".to_owned()),
            "revoke-elsewhere" => {
                let request = Request::new("token", &[]);
                request.form_secret("token", token);
                request.send().map(|_| "revoked".to_owned())
            }
            _ => standard::revoke::<Self>(token),
        }
    }
}

impl Account for Observer {
    fn account(access: &Secret, notes: &[(String, String)]) -> Result<Pairs, Failure> {
        let mut report = Report::default();
        notes.iter().for_each(|(name, value)| report.add(name, value));
        let request = Request::new("account", &[]);
        request.authenticate("bearer", "", access);
        read::handle("lent", access, &mut report);
        read::answer(&request.send()?, &mut report);
        memory::search(&mut report);
        report.log();
        Ok([vec![pair("id", "observer")], report.pairs()].concat())
    }
}

impl Device for Observer {
    /// Starts as RFC 8628 has it; `device-other` hands over another member of the answer as the device code,
    /// `device-lie` sends the person elsewhere.
    fn start(scopes: &[String]) -> Result<(Secret, Pairs), Failure> {
        let request = Request::new("device", &[]);
        request.form("scope", &scopes.join(" "));
        let answer = request.send()?;
        let mut report = Report::default();
        read::answer(&answer, &mut report);
        memory::search(&mut report);
        report.log();
        let pointer = if mode() == "device-other" { "/team" } else { "/device_code" };
        let code = answer.secret(pointer).ok_or_else(|| Failure::malformed("There is no device code."))?;
        let seen = |name: &str| pair(name, answer.field(&format!("/{name}")).unwrap_or_default());
        let uri = pair("verification_uri", "https://evil.example/device");
        let uri = if mode() == "device-lie" { uri } else { seen("verification_uri") };
        Ok((code, vec![seen("user_code"), uri, seen("expires_in"), seen("interval")]))
    }

    /// `device-swap` hands the device code over as an access token.
    fn poll(code: &Secret) -> Result<Tokens, Failure> {
        if mode() == "device-swap" {
            return swapped(Some(code));
        }
        let mut report = Report::default();
        read::handle("lent", code, &mut report);
        memory::search(&mut report);
        report.log();
        standard::poll_device::<Self>(code)
    }
}

impl Minting for Observer {
    /// Hands the login's own access token over as a minted one.
    fn mint(parent: Option<&Secret>, _: &[String], _: &[(String, String)]) -> Result<Tokens, Failure> {
        swapped(parent)
    }
}
