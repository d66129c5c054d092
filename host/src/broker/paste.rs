//! The address that a person brings by hand, where the browser cannot reach this machine: `login --paste`.
//!
//! Only the command line has this. An agent that could hand in an address could finish a login with somebody else's code.

use super::Broker;
use crate::audit::{Event, Outcome};
use crate::error::{Code, Error, Result};
use crate::secret::Secret;

impl Broker {
    /// Gives a login that is under way the address that the person's browser ended at. It is held to the same checks as
    /// a browser that comes back by itself. How the login ends, [`Broker::await_login`] tells.
    ///
    /// # Errors
    /// `unknown_flow`; `invalid_argument` where the address is not this login's, with the login still pending;
    /// `expired` where the login is over; `unsupported` for a device flow, which has no such address.
    pub fn complete_login(&self, flow_id: &str, pasted: &Secret) -> Result<()> {
        let flow = self.flows.get(flow_id)?;
        let taken = match &flow.paste {
            Some(paste) => paste.arrive(pasted),
            None => Err(Error::new(
                Code::Unsupported,
                "A device flow has no address to come back with.",
                "Enter the code at the verification address; the broker notices by itself.",
            )),
        };
        self.audit.record(Event {
            event: "paste_back",
            outcome: if taken.is_ok() { Outcome::Ok } else { Outcome::Refused },
            secret: Some(flow.name.as_str()),
            flow: Some(&flow.id),
            code: taken.as_ref().err().map(Error::code),
            ..Event::default()
        });
        taken
    }
}
