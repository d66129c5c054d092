//! Tells a client that asked for it what its call is waiting for.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::RequestContext;
use tokio::sync::watch;

/// How often it hears that it still waits for the same.
pub(super) const EVERY: Duration = Duration::from_secs(5);

/// A call under way.
pub(super) type Call<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The progress of one call.
pub(super) struct Progress<'a> {
    context: &'a RequestContext<RoleServer>,
    token: Option<ProgressToken>,
    /// How many notes there were: a note's number has to be higher than that of the one before.
    told: AtomicU32,
}

impl<'a> Progress<'a> {
    pub(super) fn of(context: &'a RequestContext<RoleServer>) -> Self {
        Self { context, token: context.meta.get_progress_token(), told: AtomicU32::new(0) }
    }

    /// Whether the client asked for it.
    pub(super) const fn is_wanted(&self) -> bool {
        self.token.is_some()
    }

    /// Tells it.
    pub(super) async fn tell(&self, message: String) {
        let Some(token) = self.token.clone() else { return };
        let number = f64::from(self.told.fetch_add(1, Ordering::Relaxed) + 1);
        let note = ProgressNotificationParam::new(token, number).with_message(message);
        let _ = self.context.peer.notify_progress(note).await;
    }

    /// Waits for a call, and tells meanwhile whether a component is being compiled.
    pub(super) async fn during<T>(&self, mut compiling: watch::Receiver<usize>, mut call: Call<'_, T>) -> T {
        loop {
            let busy = *compiling.borrow_and_update() > 0;
            if busy {
                self.tell("Compiling a provider's component. What comes of it is kept, so this happens once.".to_owned()).await;
            }
            tokio::select! {
                done = &mut call => return done,
                Ok(()) = compiling.changed() => {}
                () = tokio::time::sleep(EVERY), if busy => {}
            }
        }
    }
}
