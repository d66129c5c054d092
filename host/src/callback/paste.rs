//! The answer of a sign-in, brought by hand: for machines whose loopback the person's browser cannot reach.
//!
//! The browser shows an error page, and its address line holds what it could not deliver. The same checks apply as if it
//! had: nothing is decided here.

use std::sync::Weak;

use http::{Request, header};
use url::Url;
use zeroize::Zeroizing;

use super::flows::{FlowId, Verdict};
use super::page::Page;
use super::serve::Door;
use crate::error::{Code, Error, Result};
use crate::secret::Secret;

/// Takes the address for one flow. Holds nothing open: with the flow its use is over.
#[derive(Debug, Clone)]
pub struct Paste {
    pub(super) redirect_uri: Url,
    pub(super) id: FlowId,
    pub(super) door: Weak<Door>,
}

impl Paste {
    /// Gives the flow the address that the browser ended at.
    ///
    /// # Errors
    /// `invalid_argument` where it is not the flow's redirect URI with this flow's state, each parameter once: the flow
    /// stays pending. `expired` where the flow is over.
    pub fn arrive(&self, pasted: &Secret) -> Result<()> {
        let over = || {
            Error::new(
                Code::Expired,
                "This login is over, or has its answer already.",
                "Start a new login if it did not succeed.",
            )
        };
        let door = self.door.upgrade().ok_or_else(over)?;
        let expected = self.redirect_uri.as_str();
        let wrong = |what: &'static str| {
            Error::new(
                Code::InvalidArgument,
                what,
                format!("Copy the whole address that the browser shows after the sign-in; it begins with {expected}?"),
            )
        };
        // some servers add a fragment, which a browser would not send
        let text = pasted.expose().trim().split('#').next().unwrap_or_default();
        let query = text.strip_prefix(expected).and_then(|rest| rest.strip_prefix('?'));
        let query = query.ok_or_else(|| wrong("This is not the address that the sign-in comes back to."))?;
        let target = Zeroizing::new(format!("{}?{query}", self.redirect_uri.path()));
        let request = Request::get(target.as_str()).header(header::HOST, self.redirect_uri.authority()).body(());
        let (parts, ()) = request.map_err(|_| wrong("This address has characters that no address has."))?.into_parts();
        match door.flows().judge_for(self.id, &parts) {
            Verdict::Arrived(..) => Ok(()),
            Verdict::Answer(Page::AlreadyUsed | Page::Expired, _) => Err(over()),
            Verdict::Answer(Page::TooLarge, _) => Err(wrong("This address is too long.")),
            Verdict::Answer(..) => Err(wrong("This address does not belong to this login, or is not whole.")),
        }
    }
}
