//! A git server over TLS that demands a token: real `git http-backend` behind Basic authentication.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::lookalike::certificate;

/// The server, with one repository `repo.git` that has one commit.
pub struct GitServer {
    address: SocketAddr,
    folder: TempDir,
    shared: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    /// `user:token` that it takes.
    wanted: Mutex<String>,
    /// Every `user:token` that it was given.
    given: Mutex<Vec<String>>,
}

impl GitServer {
    /// Starts it for these host names; it takes this user and token.
    pub async fn start(hosts: &[&str], user: &str, token: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let root = folder.path().join("root");
        let repository = root.join("repo.git");
        run(folder.path(), &["init", "-q", "--bare", "-b", "main", repository.to_str().expect("text")]).await;
        run(&repository, &["config", "http.receivepack", "true"]).await;
        let work = folder.path().join("first");
        run(folder.path(), &["init", "-q", "-b", "main", work.to_str().expect("text")]).await;
        std::fs::write(work.join("file"), "first\n").expect("a file");
        run(&work, &["add", "."]).await;
        run(&work, &["commit", "-q", "-m", "first"]).await;
        run(&work, &["push", "-q", repository.to_str().expect("text"), "main"]).await;

        let (acceptor, ca) = certificate(hosts.iter().map(|host| (*host).to_owned()).collect());
        std::fs::write(folder.path().join("ca.pem"), ca).expect("a file");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared { root, wanted: Mutex::new(format!("{user}:{token}")), given: Mutex::default() });
        let of_server = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&of_server));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, folder, shared }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// An http proxy through which every host is this server: for names that belong to others.
    pub async fn proxy(&self) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let address = self.address;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await?);
                    }
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                    let mut server = tokio::net::TcpStream::connect(address).await?;
                    tokio::io::copy_bidirectional(&mut stream, &mut server).await
                });
            }
        });
        port
    }

    /// The authority that signed its certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Takes another token from now on.
    pub fn take(&self, user: &str, token: &str) {
        *self.shared.wanted.lock().expect("sane") = format!("{user}:{token}");
    }

    /// Every user and token that came.
    pub fn given(&self) -> Vec<String> {
        self.shared.given.lock().expect("sane").clone()
    }

    /// The subject of the newest commit.
    pub async fn newest(&self) -> String {
        let repository = self.shared.root.join("repo.git");
        run(&repository, &["log", "-1", "--format=%s", "main"]).await.trim_end().to_owned()
    }
}

async fn run(folder: &Path, words: &[&str]) -> String {
    let identity = [("GIT_AUTHOR_NAME", "lab"), ("GIT_AUTHOR_EMAIL", "lab@example.com")];
    let committer = [("GIT_COMMITTER_NAME", "lab"), ("GIT_COMMITTER_EMAIL", "lab@example.com")];
    let nothing = [("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")];
    let mut git = tokio::process::Command::new("git");
    let output = git.current_dir(folder).args(words).envs(identity).envs(committer).envs(nothing).output().await.expect("git");
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn answer(shared: Arc<Shared>, request: http::Request<Incoming>) -> Result<http::Response<Full<Bytes>>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let given = header("authorization");
    let given = given.strip_prefix("Basic ").and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
    let given = given.and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some(given) = &given {
        shared.given.lock().expect("sane").push(given.clone());
    }
    if given.as_deref() != Some(shared.wanted.lock().expect("sane").as_str()) {
        let refused = http::Response::builder().status(401).header("www-authenticate", "Basic realm=\"git\"");
        return refused.body(Full::default()).map_err(std::io::Error::other);
    }
    let mut backend = tokio::process::Command::new("git");
    backend
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &shared.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "lab")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut backend = backend.spawn()?;
    let mut stdin = backend.stdin.take().expect("piped");
    tokio::spawn(async move { stdin.write_all(&body).await });
    let output = backend.wait_with_output().await?.stdout;
    let split = output.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap_or(output.len());
    let mut response = http::Response::builder();
    for line in String::from_utf8_lossy(&output[..split]).lines() {
        match line.split_once(": ") {
            Some(("Status", status)) => response = response.status(status.split(' ').next().unwrap_or("500")),
            Some((name, value)) => response = response.header(name, value),
            None => {}
        }
    }
    let body = output.get(split + 4..).unwrap_or_default().to_vec();
    response.body(Full::from(body)).map_err(std::io::Error::other)
}
