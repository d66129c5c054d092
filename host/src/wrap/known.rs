//! The values that are taken out on the way up: everything that rests in the vault, and every value that this wrapper
//! has handed out, also when a newer one has taken its place.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::broker::Broker;
use crate::redaction::Redactor;
use crate::secret::{Secret, SecretName};

/// How many values of one name are remembered.
const EACH: usize = 8;

/// The values, and the redactor that knows them.
pub(super) struct Known {
    broker: Arc<Broker>,
    values: Mutex<Vec<(SecretName, Secret)>>,
    redactor: RwLock<Redactor>,
}

impl Known {
    /// With everything that rests in the vault now.
    pub(super) fn new(broker: Arc<Broker>) -> Self {
        let known = Self { broker, values: Mutex::default(), redactor: RwLock::default() };
        known.look_again();
        known
    }

    /// What it takes out now.
    pub(super) fn redactor(&self) -> Redactor {
        self.redactor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Learns a value before it is handed out.
    pub(super) fn learn(&self, name: &SecretName, value: &Secret) {
        self.add([(name.clone(), value.clone())]);
    }

    /// Learns what other processes have stored or renewed meanwhile. A vault that cannot be read changes nothing.
    pub(super) fn look_again(&self) {
        match self.broker.live_values() {
            Ok(values) => self.add(values),
            Err(error) => tracing::warn!("the vault cannot be read, so new values are not known: {error}"),
        }
    }

    /// The names of all secrets.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.broker.secret_names().unwrap_or_else(|_| {
            let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
            values.iter().map(|(name, _)| name.to_string()).collect()
        })
    }

    fn add(&self, more: impl IntoIterator<Item = (SecretName, Secret)>) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let before = values.len();
        for (name, value) in more {
            if values.iter().any(|(old, there)| *old == name && there.is_same(&value)) {
                continue;
            }
            if values.iter().filter(|(old, _)| *old == name).count() >= EACH
                && let Some(oldest) = values.iter().position(|(old, _)| *old == name)
            {
                values.remove(oldest);
            }
            values.push((name, value));
        }
        if values.len() != before || before == 0 {
            let redactor = Redactor::new(values.iter().map(|(name, value)| (name, value)));
            *self.redactor.write().unwrap_or_else(PoisonError::into_inner) = redactor;
        }
    }
}
