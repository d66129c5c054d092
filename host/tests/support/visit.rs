//! A whole login in one step: begun by the agent, finished by a person at a look-alike, told to the agent.

use url::Url;

use super::broker::{Broker, ToolAnswer};
use super::http::{self, Answer};

/// How a login went.
pub struct Visit {
    /// The URL that the agent was told.
    pub url: Url,
    /// The page that the person sees at the end.
    pub page: Answer,
    /// What the agent is told at the end.
    pub answer: ToolAnswer,
}

/// Signs in. `person` gets the authorization URL and says where the browser is sent back to.
pub async fn login(broker: &mut Broker, provider: &str, scopes: &[&str], name: &str, person: impl FnOnce(&str) -> Url) -> Visit {
    let pending = broker.begin_login(provider, scopes, name).await;
    let url = pending["authorization_url"].as_str().expect("a URL");
    let page = http::get(&person(url)).await.expect("a page");
    let answer = broker.end_login(&pending).await;
    Visit { url: Url::parse(url).expect("a URL"), page, answer }
}

/// A parameter of a URL, empty where there is none.
pub fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(known, _)| known == name).map_or_else(String::new, |(_, value)| value.into_owned())
}

/// The same URL with one parameter set, or taken out.
pub fn with_parameter(url: &Url, name: &str, value: Option<&str>) -> Url {
    let kept: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(known, _)| known != name).collect();
    let mut changed = url.clone();
    changed.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(value.map(|value| (name, value)));
    changed
}
