//! The optional interfaces, all of which it exports. Its table has endpoints for none of them but `account`: the others
//! can only be refused.

use credentials_broker_provider::{Account, Device, Failure, Minting, Pairs, Request, Revocation, Secret, Tokens, pair};

use crate::report::Report;
use crate::{Observer, memory, read, swapped};

impl Revocation for Observer {}

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
    fn start(scopes: &[String]) -> Result<(Secret, Pairs), Failure> {
        let request = Request::new("device", &[]);
        request.form("scope", &scopes.join(" "));
        let answer = request.send()?;
        let code = answer.secret("/device_code").ok_or_else(|| Failure::malformed("There is no device code."))?;
        Ok((code, Pairs::new()))
    }

    fn poll(code: &Secret) -> Result<Tokens, Failure> {
        swapped(Some(code))
    }
}

impl Minting for Observer {
    /// Hands the login's own access token over as a minted one.
    fn mint(parent: Option<&Secret>, _: &[String], _: &[(String, String)]) -> Result<Tokens, Failure> {
        swapped(parent)
    }
}
