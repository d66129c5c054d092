//! A person without a browser: follows redirects, keeps cookies, fills in the forms of `oidc-provider`.

use http::Method;
use url::Url;

use super::http::{Answer, send};

/// What the person does when asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Signs in and consents.
    Willing,
    /// Signs in and presses Cancel.
    Unwilling,
}

struct Cookie {
    authority: String,
    path: String,
    name: String,
    value: String,
}

/// A user agent with its cookies.
#[derive(Default)]
pub struct Agent {
    cookies: Vec<Cookie>,
    stop: Option<String>,
}

impl Agent {
    /// One that does not go on to addresses that begin so: signed in, it returns the redirect that leads there.
    pub fn stopping_at(prefix: &str) -> Self {
        Self { stop: Some(prefix.to_owned()), ..Self::default() }
    }

    /// Signs in from the authorization URL on, and returns the page that stands there at the end: the broker's.
    pub async fn sign_in(&mut self, url: &str) -> Answer {
        self.act(url, Mood::Willing).await
    }

    /// Opens the URL and acts by mood until no form is left to fill in.
    pub async fn act(&mut self, url: &str, mood: Mood) -> Answer {
        let page = self.open(Method::GET, Url::parse(url).expect("a URL"), String::new()).await;
        self.fill_in(page, mood).await
    }

    async fn fill_in(&mut self, mut page: Answer, mood: Mood) -> Answer {
        for _ in 0..6 {
            if !page.url.path().starts_with("/interaction/") {
                return page;
            }
            let asked = hidden(&page.body, "prompt");
            page = match (mood, asked.as_str()) {
                (_, "login") => self.submit(&page, &[("prompt", "login"), ("login", "alice"), ("password", "hunter2")]).await,
                (Mood::Willing, "consent") => self.submit(&page, &[("prompt", "consent")]).await,
                (Mood::Unwilling, "consent") => {
                    let abort = page.url.join(&format!("{}/abort", page.url.path())).expect("a URL");
                    self.open(Method::GET, abort, String::new()).await
                }
                (_, other) => panic!("the provider asks for {other:?}: {}", page.body),
            };
        }
        panic!("the sign-in has no end; last at {}", page.url)
    }

    /// Enters a device flow's code where the provider says, and acts by mood. Returns the page at the end.
    pub async fn enter_code(&mut self, verification_uri: &str, user_code: &str, mood: Mood) -> Answer {
        let page = self.open(Method::GET, Url::parse(verification_uri).expect("a URL"), String::new()).await;
        let xsrf = hidden(&page.body, "xsrf");
        let page = self.submit(&page, &[("xsrf", &xsrf), ("user_code", user_code)]).await;
        assert!(page.body.contains("Confirm Device") && page.body.contains(user_code), "{}", page.body);
        let xsrf = hidden(&page.body, "xsrf");
        let decision = if mood == Mood::Willing { "confirm" } else { "abort" };
        let page = self.submit(&page, &[("xsrf", &xsrf), ("user_code", user_code), (decision, "yes")]).await;
        self.fill_in(page, mood).await
    }

    async fn submit(&mut self, page: &Answer, fields: &[(&str, &str)]) -> Answer {
        let form = page.body.find("<form").map(|at| &page.body[at..]).expect("a form on the page");
        let action = page.url.join(&attribute(form, "action").expect("the form's action")).expect("a URL");
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.open(Method::POST, action, body).await
    }

    /// One request and the redirects after it.
    async fn open(&mut self, method: Method, url: Url, body: String) -> Answer {
        let mut answer = self.exchange(method, &url, body).await;
        for _ in 0..10 {
            let Some(next) = answer.location().filter(|_| answer.status.is_redirection()) else { return answer };
            if self.stop.as_ref().is_some_and(|stop| next.as_str().starts_with(stop)) {
                return answer;
            }
            answer = self.exchange(Method::GET, &next, String::new()).await;
        }
        panic!("redirects without end; last at {}", answer.url)
    }

    async fn exchange(&mut self, method: Method, url: &Url, body: String) -> Answer {
        let authority = url.authority().to_owned();
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .filter(|cookie| cookie.authority == authority && url.path().starts_with(&cookie.path))
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("accept", "text/html")];
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        if method == Method::POST {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
        let answer = send(method, url, &headers, body).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        for line in answer.headers.get_all("set-cookie") {
            self.keep(&authority, line.to_str().expect("a cookie"));
        }
        answer
    }

    fn keep(&mut self, authority: &str, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let path = parts.find_map(|part| part.strip_prefix("path=")).unwrap_or("/").to_owned();
        self.cookies.retain(|cookie| !(cookie.name == name && cookie.path == path && cookie.authority == authority));
        if !value.is_empty() {
            let (authority, name, value) = (authority.to_owned(), name.to_owned(), value.to_owned());
            self.cookies.push(Cookie { authority, path, name, value });
        }
    }
}

/// What a hidden field of the form holds: in `prompt` stands what `oidc-provider` asks for, `login` or `consent`.
fn hidden(body: &str, name: &str) -> String {
    body.find(&format!("name=\"{name}\"")).and_then(|at| attribute(&body[at..], "value")).unwrap_or_default()
}

fn attribute(html: &str, name: &str) -> Option<String> {
    let start = html.find(&format!("{name}=\""))? + name.len() + 2;
    let value = &html[start..];
    Some(value[..value.find('"')?].replace("&amp;", "&"))
}
