//! The contract grows and does not break: what was built against an older version of it goes on working, and what was
//! built against a newer one is told what is missing. The rules are in wit/VERSIONING.md.

use credentials_broker::error::{Code, Error};
use credentials_broker::sandbox::{Prepared, Sandbox, Workshop};
use sha2::{Digest as _, Sha256};
use wasmtime::component::{Component, Linker};

use crate::support::guest::Guest;
use crate::support::place;

/// Built once, when 0.1.0 was the contract. A test that fails here is mended in the broker, never by building it again.
const FIRST: (&str, &str) =
    ("host/tests/components/contract-0.1.0.wasm", "a1426d6b4c83fdf9cf8637421490a52f3f8e39deca8c404202205a2392a402f9");

async fn prepared(bytes: Vec<u8>) -> Result<Prepared, Error> {
    Sandbox::new(&Workshop::keeping(place::target("tmp/compiled"))).unwrap().prepare(bytes).await
}

async fn refused(bytes: Vec<u8>) -> Error {
    match prepared(bytes).await {
        Ok(_) => panic!("it was taken"),
        Err(error) => error,
    }
}

fn first() -> Vec<u8> {
    std::fs::read(place::repository(FIRST.0)).unwrap()
}

#[tokio::test]
async fn a_component_of_the_first_version_does_all_that_it_ever_did() {
    let digest: String = Sha256::digest(first()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, FIRST.1, "this file never changes");
    let home = tempfile::TempDir::new().unwrap();
    let file = place::repository(FIRST.0).display().to_string();
    let output = crate::check::providers(home.path(), &["check", &file, "--json"]).await;
    let verdicts = crate::check::verdicts(&output);
    assert!(output.status.success(), "{verdicts:?}");
    let passed = crate::check::of(&verdicts, "passed");
    for scene in ["sign-in", "refresh", "device", "account", "revoke", "hanging"] {
        assert!(passed.contains(&scene), "{scene}: {verdicts:?}");
    }
}

#[tokio::test]
async fn a_component_of_a_later_0_1_is_taken_if_it_wants_nothing_newer() {
    let later = prepared(Guest::new("later").version("0.1.7").bytes()).await.unwrap();
    assert!(later.describe().await.unwrap().contains("later"));
}

#[tokio::test]
async fn a_component_of_another_version_is_told_both_versions_and_what_to_do() {
    for version in ["0.2.0", "0.0.9", "1.0.0"] {
        let error = refused(Guest::new("other").version(version).bytes()).await;
        assert_eq!(error.code(), Code::ComponentRejected);
        for said in [version, "0.1.0"] {
            assert!(error.message().contains(said), "{error}");
        }
        assert!(error.hint().contains("If you installed it") && error.hint().contains("If you wrote it"), "{error}");
    }
}

/// How a broker of 0.2 will keep components of 0.1: the interfaces of both versions stand in one linker, under their full
/// names, and each component finds its own. Nothing of 0.2 exists yet; that names with versions are kept apart can be
/// shown all the same.
#[test]
fn two_versions_of_an_interface_stand_beside_each_other() {
    let engine = wasmtime::Engine::default();
    let old = Component::new(&engine, Guest::new("old").bytes()).unwrap();
    let new = Component::new(&engine, Guest::new("new").version("0.2.0").bytes()).unwrap();
    let linker = |components: &[&Component]| {
        let mut linker: Linker<()> = Linker::new(&engine);
        components.iter().for_each(|component| linker.define_unknown_imports_as_traps(component).unwrap());
        linker
    };
    assert!(linker(&[&old]).instantiate_pre(&new).is_err(), "0.1 does not stand in for 0.2");
    assert!(linker(&[&new]).instantiate_pre(&old).is_err(), "nor the other way round");
    let both = linker(&[&old, &new]);
    assert!(both.instantiate_pre(&old).is_ok() && both.instantiate_pre(&new).is_ok());
}
