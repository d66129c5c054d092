//! Signals that the broker gets while a program runs under it, for passing on.

use tokio::sync::mpsc;

/// A signal.
#[cfg(unix)]
pub type Signal = rustix::process::Signal;

/// The only one there is: Ctrl-C.
#[cfg(not(unix))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal;

/// Those that come from now on. None of them ends the broker any more.
pub struct Signals(mpsc::UnboundedReceiver<Signal>);

impl Signals {
    /// Begins to catch them. Needs a runtime.
    #[cfg(unix)]
    #[must_use]
    pub fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};

        let (sender, receiver) = mpsc::unbounded_channel();
        let caught = [
            (SignalKind::interrupt(), Signal::INT),
            (SignalKind::quit(), Signal::QUIT),
            (SignalKind::terminate(), Signal::TERM),
            (SignalKind::hangup(), Signal::HUP),
            (SignalKind::user_defined1(), Signal::USR1),
            (SignalKind::user_defined2(), Signal::USR2),
        ];
        for (kind, name) in caught {
            let Ok(mut stream) = signal(kind) else { continue };
            let sender = sender.clone();
            tokio::spawn(async move { while stream.recv().await.is_some() && sender.send(name).is_ok() {} });
        }
        Self(receiver)
    }

    /// Begins to catch Ctrl-C. Needs a runtime.
    #[cfg(not(unix))]
    #[must_use]
    pub fn new() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move { while tokio::signal::ctrl_c().await.is_ok() && sender.send(Signal).is_ok() {} });
        Self(receiver)
    }

    /// The next one.
    pub async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

impl Default for Signals {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the terminal itself sends its keys' signals to the program as well, since both are in its foreground.
#[cfg(unix)]
pub(super) fn terminal_tells_both() -> bool {
    let Ok(terminal) = std::fs::File::open("/dev/tty") else { return false };
    rustix::termios::tcgetpgrp(&terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}
