//! The least that a JSON-RPC server over stdio can do: it sends every request back as its own result. `cargo xtask
//! bench` runs it beside the broker, since nothing that answers over a pipe can be faster. The benchmark compiles it
//! with `rustc -O`, without cargo: no dependencies.

use std::io::{BufRead as _, Result, Write as _, stdin, stdout};

fn main() -> Result<()> {
    let (mut input, mut output) = (stdin().lock(), stdout().lock());
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        let request = line.trim_end();
        if let Some(id) = id(request) {
            // In one piece: a second write would be a second wake-up of the other side.
            let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{request}}}\n");
            output.write_all(answer.as_bytes())?;
            output.flush()?;
        }
        line.clear();
    }
    Ok(())
}

/// The id, which the benchmark always writes in this way. A notification has none.
fn id(request: &str) -> Option<&str> {
    let (_, rest) = request.split_once("\"id\":")?;
    rest.split([',', '}']).next()
}
