//! Where things lie that tests need and do not build themselves.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

/// A path in cargo's target folder.
pub fn target(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp lies in target").join(path)
}

/// A path in target/ that `cargo xtask test` makes. Missing is a failure, never a skipped test.
pub fn prepared(path: &str) -> PathBuf {
    let path = target(path);
    assert!(path.exists(), "{} is missing: run `cargo xtask test`, which installs it", path.display());
    path
}

/// A path in the repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("host/ lies in the repository").join(path)
}

/// A program of this machine, as the operator's file has to name it: by its file, unless that is called otherwise.
pub fn program(name: &str) -> String {
    let path = std::env::var_os("PATH").expect("there is one");
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file()).expect(name);
    let file = found.canonicalize().expect("it is there");
    if file.ends_with(name) { file } else { found }.display().to_string()
}

/// A port for a callback listener, free on both loopback addresses. From below the range that the system gives to
/// outgoing connections, so that nobody takes it between this check and its use.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 10_000 + u16::try_from(std::process::id() % 200).expect("below 200") * 100;
    for _ in 0..10_000 {
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
        let no_v6 = v6.as_ref().is_err_and(|error| error.kind() != std::io::ErrorKind::AddrInUse);
        if v4.is_ok() && (v6.is_ok() || no_v6) {
            return port;
        }
    }
    panic!("no free port")
}

/// Waits until nobody listens at this port of loopback any more, for a second at most.
pub async fn freed(port: u16) {
    let start = std::time::Instant::now();
    while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
        assert!(start.elapsed() < std::time::Duration::from_secs(1), "port {port} is still taken after a second");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
