//! Signals: those that the broker gets while a program runs under it, for passing on, and the one that ends a server.

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

/// The exit code of a process that ended at SIGTERM, as a shell tells it.
pub const TERMINATED: i32 = 128 + 15;

/// At SIGTERM, from when this returns, does this first and then ends the process. In a thread with a runtime of its own,
/// whatever holds up the others; where it cannot be, SIGTERM ends the process at once, as ever.
#[cfg(unix)]
pub fn at_sigterm(act: impl FnOnce() + Send + 'static) {
    use tokio::signal::unix::{SignalKind, signal};

    let (armed, is_armed) = std::sync::mpsc::channel();
    let wait = move || -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let told = runtime.block_on(async {
            let mut told = signal(SignalKind::terminate())?;
            let _ = armed.send(());
            std::io::Result::Ok(told.recv().await)
        })?;
        if told.is_some() {
            act();
            std::process::exit(TERMINATED);
        }
        Ok(())
    };
    match std::thread::Builder::new().name("sigterm".to_owned()).spawn(wait) {
        // Err: it will not be.
        Ok(_) => drop(is_armed.recv()),
        Err(error) => tracing::warn!("no thread that waits for SIGTERM: {error}"),
    }
}

/// There is no such signal.
#[cfg(not(unix))]
pub fn at_sigterm(_: impl FnOnce() + Send + 'static) {}

/// Whether the terminal itself sends its keys' signals to the program as well, since both are in its foreground.
#[cfg(unix)]
pub(super) fn terminal_tells_both() -> bool {
    let Ok(terminal) = std::fs::File::open("/dev/tty") else { return false };
    rustix::termios::tcgetpgrp(&terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}
