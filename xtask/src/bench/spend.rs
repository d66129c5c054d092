//! What a request costs that the broker sends with a credential, beside the same request of a bare client.

use anyhow::{Result, ensure};

use super::contestants::Contestant;
use super::example::{numbers, told};
use super::pairs::Pair;

pub(super) fn measure(broker: &Contestant) -> Result<Vec<Pair>> {
    let told = told("spend", broker.program())?;
    let (bare, library, tool) = (numbers(&told, "bare_us"), numbers(&told, "library_us"), numbers(&told, "tool_us"));
    ensure!(!bare.is_empty() && bare.len() == library.len() && bare.len() == tool.len(), "the example `spend` told {told}");
    Ok(vec![
        Pair::of(
            "`http_request` over TLS on loopback, in the broker's process, beside a bare reqwest client",
            Some(1.2),
            library,
            bare.clone(),
        ),
        Pair::of("the same as a tool: two pipes, two processes, and a vault on disk in between", None, tool, bare),
    ])
}
