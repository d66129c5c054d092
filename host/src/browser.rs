//! Opens the person's browser.
//!
//! The broker speaks MCP on its standard output and often has no terminal: a browser must neither write there nor read
//! from there. Graphical browsers are started without either. A text browser would be given the broker's own streams,
//! so it is refused, and so is a machine without a display, where only a text browser is left.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::Path;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use url::Url;

use crate::error::{Code, Error, Result};

/// How long starting a browser may take before nobody waits for it any more.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// A browser that is being started on a thread of its own.
#[derive(Debug)]
pub struct Opened(oneshot::Receiver<Result<()>>);

impl Opened {
    /// Waits until it is known whether a browser was started, at most a few seconds. Not needed for it to start.
    ///
    /// # Errors
    /// `unavailable` where there is none, or it did not start in time.
    pub async fn started(self) -> Result<()> {
        match tokio::time::timeout(START_TIMEOUT, self.0).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(not_opened("The browser did not start in time.")),
        }
    }
}

/// Opens an http or https URL in the person's browser: the one of `$BROWSER`, or else of the desktop. No shell is
/// involved, and it does not wait.
///
/// # Errors
/// `invalid_argument` for another kind of URL; `unavailable` where no graphical browser can be shown.
pub fn open(url: &Url) -> Result<Opened> {
    let surroundings = Surroundings::now();
    check(url, &surroundings)?;
    let (sender, receiver) = oneshot::channel();
    let url = url.clone();
    thread::Builder::new()
        .name("browser".to_owned())
        .spawn(move || {
            // The URL stays out of the error: it has the state in it.
            let _ = sender.send(start(&url, &surroundings));
        })
        .map_err(|error| not_opened(format!("No thread for the browser: {error}.")))?;
    Ok(Opened(receiver))
}

fn start(url: &Url, surroundings: &Surroundings) -> Result<()> {
    if cfg!(target_os = "linux")
        && !surroundings.commands().split(':').any(is_there)
        && desktop::default_browser_wants_a_terminal()
    {
        return Err(not_opened("The desktop's browser is one for the terminal, which belongs to the agent here."));
    }
    webbrowser::open(url.as_str()).map_err(|error| not_opened(format!("No browser could be started: {}.", error.kind())))
}

/// What of the environment decides.
#[derive(Debug, Default)]
struct Surroundings {
    /// Whether there is anything to show a window on.
    display: bool,
    /// `$BROWSER`: commands with `:` between them. Only Unix has it.
    browser: Option<OsString>,
}

impl Surroundings {
    fn now() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        // Windows and macOS always have one; Linux under Windows opens the browser of Windows.
        let display = cfg!(any(windows, target_os = "macos"))
            || set("DISPLAY").is_some()
            || set("WAYLAND_DISPLAY").is_some()
            || Path::new("/proc/sys/fs/binfmt_misc/WSLInterop").exists();
        Self { display, browser: if cfg!(unix) { set("BROWSER") } else { None } }
    }

    fn commands(&self) -> Cow<'_, str> {
        self.browser.as_ref().map(|browser| browser.to_string_lossy()).unwrap_or_default()
    }
}

fn check(url: &Url, surroundings: &Surroundings) -> Result<()> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::new(
            Code::InvalidArgument,
            "Only http and https addresses are opened in a browser.",
            "Correct the provider's authorization endpoint in the configuration.",
        ));
    }
    let commands = surroundings.commands();
    if commands.split(':').any(is_text_browser) {
        return Err(not_opened("$BROWSER names a browser for the terminal, which belongs to the agent here."));
    }
    if !surroundings.display && commands.is_empty() {
        return Err(not_opened("There is no display to show a browser on."));
    }
    Ok(())
}

/// The ones that `webbrowser` runs in the foreground, on the broker's own streams.
const TEXT_BROWSERS: [&str; 9] = ["lynx", "links", "links2", "elinks", "w3m", "eww", "netrik", "retawq", "curl"];

fn program(command: &str) -> &str {
    command.split_ascii_whitespace().next().unwrap_or_default()
}

/// Whether there is such a program, so that `webbrowser` does not go on to the desktop's own.
fn is_there(command: &str) -> bool {
    let program = Path::new(program(command));
    let path = std::env::var_os("PATH").unwrap_or_default();
    program.is_absolute() && program.is_file() || std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn is_text_browser(command: &str) -> bool {
    Path::new(program(command)).file_name().is_some_and(|name| TEXT_BROWSERS.iter().any(|text| name == *text))
}

fn not_opened(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(
        Code::Unavailable,
        message,
        "Open the sign-in URL by hand, in any browser on this machine; or set $BROWSER to a graphical browser. `browser = \"none\"` in the configuration stops the attempt.",
    )
}

/// The one case that `webbrowser` decides from the desktop's settings and not from the command's name.
mod desktop {
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    /// Whether the desktop's default browser is declared to run in a terminal.
    pub(super) fn default_browser_wants_a_terminal() -> bool {
        let Ok(output) =
            Command::new("xdg-settings").args(["get", "default-web-browser"]).stdin(Stdio::null()).stderr(Stdio::null()).output()
        else {
            return false;
        };
        let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        !name.is_empty()
            && entries(&name).iter().any(|path| std::fs::read_to_string(path).is_ok_and(|entry| wants_terminal(&entry)))
    }

    /// Where the desktop entry of that name may lie. A `-` in it may stand for a folder.
    fn entries(name: &str) -> Vec<PathBuf> {
        let home = directories::BaseDirs::new().map(|dirs| dirs.data_dir().to_owned());
        let shared = std::env::var("XDG_DATA_DIRS").unwrap_or_else(|_| "/usr/local/share:/usr/share".to_owned());
        home.into_iter()
            .chain(shared.split(':').map(PathBuf::from))
            .map(|folder| folder.join("applications"))
            .flat_map(|folder| [folder.join(name), folder.join(name.replace('-', "/"))])
            .collect()
    }

    pub(super) fn wants_terminal(entry: &str) -> bool {
        let mut in_main_group = false;
        entry.lines().any(|line| {
            if line.starts_with('[') {
                in_main_group = line == "[Desktop Entry]";
            }
            in_main_group && line == "Terminal=true"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(url: &str, display: bool, browser: Option<&str>) -> Result<(), Code> {
        let surroundings = Surroundings { display, browser: browser.map(OsString::from) };
        check(&Url::parse(url).unwrap(), &surroundings).map_err(|error| error.code())
    }

    #[test]
    fn only_web_addresses_are_opened() {
        assert_eq!(outcome("https://example.com/?a=b&c=$(d)", true, None), Ok(()));
        assert_eq!(outcome("http://localhost:1/", true, None), Ok(()));
        for url in
            ["file:///etc/passwd", "javascript:alert(1)", "data:text/html,x", "ms-settings:", "mailto:a@b.example", "ftp://x/"]
        {
            assert_eq!(outcome(url, true, None), Err(Code::InvalidArgument), "{url}");
        }
    }

    #[test]
    fn without_a_display_only_a_named_browser_is_started() {
        assert_eq!(outcome("https://example.com/", false, None), Err(Code::Unavailable));
        assert_eq!(outcome("https://example.com/", false, Some("/opt/browser %s")), Ok(()));
    }

    #[test]
    fn a_text_browser_never_gets_the_terminal() {
        for browser in ["lynx", "/usr/bin/w3m -v %s", "firefox:links", "curl"] {
            assert_eq!(outcome("https://example.com/", true, Some(browser)), Err(Code::Unavailable), "{browser}");
        }
        assert_eq!(outcome("https://example.com/", true, Some("firefox --new-tab")), Ok(()));
    }

    #[test]
    fn a_desktop_entry_says_whether_it_wants_a_terminal() {
        assert!(desktop::wants_terminal("[Desktop Entry]\nExec=w3m %u\nTerminal=true\n"));
        assert!(!desktop::wants_terminal("[Desktop Entry]\nTerminal=false\n[Desktop Action x]\nTerminal=true\n"));
    }
}
