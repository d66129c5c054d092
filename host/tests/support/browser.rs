//! A person with a browser: Chromium, driven through chromedriver, kept on loopback.

use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use super::process::Helper;

/// chromedriver's own command for the console's log.
#[derive(Debug)]
struct ConsoleLog;

impl WebDriverCompatibleCommand for ConsoleLog {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}

/// A running browser. Ends with the value, all its processes included.
pub struct Browser {
    page: Client,
    _profile: TempDir,
    _driver: Helper,
}

const PATIENCE: Duration = Duration::from_secs(15);

impl Browser {
    /// Starts it, with a profile of its own.
    pub async fn start() -> Self {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0");
        let mut driver = Helper::start(command);
        let port = loop {
            let line = driver.line().await;
            if let Some(port) = line.strip_suffix('.').and_then(|line| line.split_once("started successfully on port ")) {
                break port.1.to_owned();
            }
        };
        let profile = TempDir::new().expect("a folder");
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let logged = json!({ "browser": "ALL" });
        let capabilities = json!({ "goog:chromeOptions": { "args": arguments }, "goog:loggingPrefs": logged });
        let page = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.as_object().expect("an object").clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("chromedriver starts Chromium");
        Self { page, _profile: profile, _driver: driver }
    }

    /// The page, for whatever a test wants of it.
    pub fn page(&self) -> &Client {
        &self.page
    }

    /// Signs in at `oidc-provider`'s forms and consents.
    pub async fn sign_in(&self, url: &str) {
        self.enter(url).await;
        self.press("Continue").await;
    }

    /// Signs in at `oidc-provider`'s forms and declines.
    pub async fn decline(&self, url: &str) {
        self.enter(url).await;
        let path = "//button[contains(., 'Continue')]";
        self.page.wait().at_most(PATIENCE).for_element(Locator::XPath(path)).await.expect("the consent page");
        self.page.find(Locator::LinkText("[ Cancel ]")).await.expect("the link").click().await.expect("a link to follow");
    }

    async fn enter(&self, url: &str) {
        self.page.goto(url).await.expect("the sign-in page");
        self.field("login").await.send_keys("alice").await.expect("a name");
        self.field("password").await.send_keys("hunter2").await.expect("a password");
        self.press("Sign-in").await;
    }

    /// What Chromium's console says of the page that it shows now.
    pub async fn complaints(&self) -> Vec<String> {
        let here = self.page.current_url().await.expect("a page");
        let here = here.origin().ascii_serialization();
        let log = self.page.issue_cmd(ConsoleLog).await.expect("the console's log");
        let lines = log.as_array().expect("a list").iter().map(|entry| entry["message"].as_str().unwrap_or_default().to_owned());
        lines.filter(|line| line.contains(&here)).collect()
    }

    /// Waits for a heading or paragraph with these words and returns the whole page's text.
    pub async fn text_with(&self, words: &str) -> String {
        let path = format!("//body//*[contains(., \"{words}\")]");
        self.page.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await.expect("the page with those words");
        self.page.find(Locator::Css("body")).await.expect("a body").text().await.expect("its text")
    }

    async fn field(&self, name: &str) -> fantoccini::elements::Element {
        let css = format!("input[name={name}]");
        self.page.wait().at_most(PATIENCE).for_element(Locator::Css(&css)).await.expect("the field")
    }

    async fn press(&self, button: &str) {
        let path = format!("//button[contains(., '{button}')]");
        let button = self.page.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await.expect("the button");
        button.click().await.expect("a button that can be pressed");
    }

    /// Closes the window properly; dropping it does so by force.
    pub async fn close(self) {
        self.page.clone().close().await.expect("closed");
    }
}
