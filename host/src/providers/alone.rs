//! One component and nothing else, for a rehearsal of it: no embedded providers, no folders, no lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use super::dropin::DropIn;
use super::provider::{Approval, Component, Origin, Provider};
use super::{Providers, settings};
use crate::config;
use crate::error::Result;
use crate::sandbox::Workshop;

impl Providers {
    /// This component alone, under its own name, with these settings.
    ///
    /// # Errors
    /// `invalid_configuration` where `operator` has a setting that the component does not know.
    pub fn only(drop_in: DropIn, operator: config::Provider) -> Result<Self> {
        settings::check_names(&drop_in.descriptor, &operator)?;
        let origin = Origin { path: drop_in.path, sha256: drop_in.sha256, named: true, approval: Approval::Place };
        let provider = Provider {
            descriptor: drop_in.descriptor,
            source: Component::DropIn(Box::new(origin)),
            operator,
            prepared: OnceCell::new_with(Some(drop_in.prepared)),
        };
        Ok(Self {
            sandbox: OnceCell::new(),
            workshop: Workshop::here(),
            operator: BTreeMap::new(),
            require_lock: false,
            folders: Vec::new(),
            approvals: None,
            embedded: vec![Arc::new(provider)].into(),
            given_away: BTreeSet::new(),
            known: Mutex::default(),
            listing: tokio::sync::Mutex::default(),
        })
    }
}
