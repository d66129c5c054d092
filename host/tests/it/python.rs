//! Any language: the provider in Python of docs/examples/python, built by componentize-py (`cargo xtask test` installs it).

use tempfile::TempDir;

use crate::check::{of, providers, verdicts};
use crate::support::place;

#[tokio::test]
async fn a_provider_in_python_loads_signs_in_and_refreshes() {
    let home = TempDir::new().unwrap();
    let component = place::prepared("python/snake.wasm").display().to_string();
    // a debug build compiles 18 MB of WebAssembly for minutes, once: the cache has it then
    let output = providers(home.path(), &["check", &component, "--json"]).await;
    let verdicts = verdicts(&output);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    for scene in ["sign-in", "refused", "busy", "hanging", "refresh", "refresh-refused"] {
        assert!(of(&verdicts, "passed").contains(&scene), "{scene}: {verdicts:?}");
    }
}
