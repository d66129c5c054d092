//! The values that are taken out on the way up: everything that the broker knows to be secret now, and what this wrapper
//! has handed out, also when a newer value has taken its place.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::broker::Broker;
use crate::redaction::Redactor;
use crate::secret::{Secret, SecretName};

/// How many values of one name are remembered that were handed out and may be gone from the vault by now.
const EACH: usize = 64;

/// The values, and the redactor that knows them.
pub(super) struct Known {
    broker: Arc<Broker>,
    values: Mutex<Values>,
    redactor: RwLock<Redactor>,
}

#[derive(Default)]
struct Values {
    /// What the broker said last.
    live: Vec<(SecretName, Secret)>,
    /// In the order in which they were last handed out.
    handed: Vec<(SecretName, Secret)>,
}

impl Known {
    /// With everything that is secret now.
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
        let mut values = self.lock();
        if values.hand(name, value) {
            self.remake(&values);
        }
    }

    /// Learns what other processes have stored or renewed meanwhile. A vault that cannot be read changes nothing.
    pub(super) fn look_again(&self) {
        match self.broker.live_values() {
            Ok(live) => {
                let mut values = self.lock();
                if values.see(live) {
                    self.remake(&values);
                }
            }
            Err(error) => tracing::warn!("the vault cannot be read, so new values are not known: {error}"),
        }
    }

    /// The names of all secrets.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.broker.secret_names().unwrap_or_else(|_| self.lock().all().map(|(name, _)| name.to_string()).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remake(&self, values: &Values) {
        let redactor = Redactor::new(values.all().map(|(name, value)| (name, value)));
        *self.redactor.write().unwrap_or_else(PoisonError::into_inner) = redactor;
    }
}

impl Values {
    fn all(&self) -> impl Iterator<Item = &(SecretName, Secret)> {
        self.live.iter().chain(&self.handed)
    }

    /// Whether it was not known.
    fn hand(&mut self, name: &SecretName, value: &Secret) -> bool {
        let is_it = |(other, there): &(SecretName, Secret)| other == name && there.is_same(value);
        let before = self.handed.iter().position(is_it).map(|at| self.handed.remove(at));
        if before.is_none() && self.handed.iter().filter(|(other, _)| other == name).count() >= EACH {
            let is_live = |value: &Secret| self.live.iter().any(|(_, live)| live.is_same(value));
            let past = self.handed.iter().position(|(other, value)| other == name && !is_live(value));
            past.map(|at| self.handed.remove(at));
        }
        self.handed.push((name.clone(), value.clone()));
        before.is_none()
    }

    /// Whether anything is other than before.
    fn see(&mut self, live: Vec<(SecretName, Secret)>) -> bool {
        let same = |((name, value), (other, there)): (&(SecretName, Secret), &(SecretName, Secret))| {
            name == other && value.is_same(there)
        };
        let changed = live.len() != self.live.len() || !live.iter().zip(&self.live).all(same);
        self.live = live;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(number: usize) -> Secret {
        Secret::new(format!("value-{number:04}"))
    }

    #[test]
    fn of_what_was_handed_out_only_the_oldest_that_is_not_alive_is_forgotten() {
        let name = SecretName::parse("a").unwrap();
        let mut values = Values::default();
        assert!(values.see(vec![(name.clone(), value(0))]) && !values.see(vec![(name.clone(), value(0))]));
        assert!((0..EACH).all(|number| values.hand(&name, &value(number))));
        assert!(!values.hand(&name, &value(1)), "it is known, and now the newest");
        assert!(values.hand(&name, &value(EACH)), "each new one is told");
        let known = |values: &Values, number| values.handed.iter().any(|(_, there)| there.is_same(&value(number)));
        assert_eq!(values.handed.len(), EACH);
        assert!(known(&values, 0) && known(&values, 1) && !known(&values, 2) && known(&values, EACH));
        assert!(values.see(vec![(name.clone(), value(EACH + 1))]));
        assert!(known(&values, 0), "it was handed out, though it is gone from the vault");
    }
}
