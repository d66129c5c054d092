//! Who waits for whom, and who does not: many callers, other processes, clocks, a vault that cannot be written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use credentials_broker::error::{Code, Error, Result};
use credentials_broker::secret::SecretName;
use credentials_broker::vault::{Allowed, Generation, Grant, Intent, Memory, Record, Revision, Stored, Tombstone, Turn, Vault};

use super::{HOUR, Scene, expire, name};
use crate::support::lookalike::{Answer, OpenId, Site};

fn site() -> OpenId {
    OpenId::new("id.example", None)
}

#[tokio::test]
async fn t25_a_hundred_tasks_are_served_by_one_refresh() {
    let scene = Arc::new(Scene::new(site(), "").await);
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let scene = Arc::clone(&scene);
            tokio::spawn(async move { scene.token().await.unwrap() })
        })
        .collect();
    let mut tokens = std::collections::BTreeSet::new();
    for task in tasks {
        tokens.insert(task.await.unwrap());
    }
    assert_eq!((tokens.len(), scene.refreshes()), (1, 1));
    assert!(scene.site.desk().is_live(tokens.first().unwrap()));
}

#[tokio::test]
async fn a_caller_that_hangs_up_loses_no_rotated_token() {
    let scene = Arc::new(Scene::new(site(), "").await);
    let old = scene.stored().1;
    let calling = tokio::spawn({
        let scene = Arc::clone(&scene);
        async move { scene.token().await }
    });
    while scene.stored().1.renewal.intent.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    calling.abort();
    assert!(calling.await.unwrap_err().is_cancelled());
    // what the end of the process does
    scene.broker.close().await;
    let new = scene.stored().1;
    assert_ne!(new.refresh.as_ref().unwrap().expose(), old.refresh.as_ref().unwrap().expose());
    assert!(new.renewal.intent.is_none());
    assert!(scene.site.desk().is_live(&scene.token().await.unwrap()));
    assert_eq!(scene.refreshes(), 1);
}

#[tokio::test]
async fn a_token_that_is_only_due_is_handed_out_while_somebody_renews_it() {
    let scene = Arc::new(Scene::new(site(), "").await);
    let generation = scene.grant(|grant| expire(grant, HOUR - Duration::from_secs(50)));
    let due = scene.stored().1;
    // another process
    let turn = scene.vault.try_turn(generation).unwrap().unwrap();
    assert_eq!(scene.token().await.unwrap(), due.access.expose());
    assert_eq!(scene.refreshes(), 0);
    drop(turn);
    // this process: the first waits for its own, the second for nobody
    scene.lookalike.always(&scene.site.path("token"), Answer::Close.after(Duration::from_secs(600)));
    let first = tokio::spawn({
        let scene = Arc::clone(&scene);
        async move { scene.token().await.unwrap() }
    });
    while scene.stored().1.renewal.intent.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::select! {
        biased;
        _ = first => panic!("the second waited for the first"),
        token = scene.token() => assert_eq!(token.unwrap(), due.access.expose()),
    }
}

#[tokio::test]
async fn an_ended_token_waits_for_the_process_that_renews_it_and_then_says_that_it_may_be_suspended() {
    let scene = Scene::new(site(), "").await;
    let generation = scene.vault.generation(&name()).unwrap().unwrap();
    let turn = scene.vault.try_turn(generation).unwrap().unwrap();
    let told = scene.refused(Code::Unavailable).await;
    assert!(told.contains("Another process") && told.contains("suspended"), "{told}");
    assert_eq!(scene.refreshes(), 0);
    // the other one stores a new token and lets go while this one waits
    let (revision, grant) = scene.stored();
    let mut new = (*grant).clone();
    new.expires = Some(SystemTime::now() + HOUR);
    new.issued = SystemTime::now();
    new.access = "of the other process".into();
    let other = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        scene.vault.replace(&name(), revision, new.into()).unwrap().unwrap();
        drop(turn);
    };
    let (token, ()) = tokio::join!(scene.token(), other);
    assert_eq!(token.unwrap(), "of the other process");
    assert_eq!(scene.refreshes(), 0);
}

#[tokio::test]
async fn an_intent_whose_sender_died_is_tried_once_and_then_a_person_has_to_sign_in() {
    for (strict, tries, renewed) in [(true, 1, true), (true, 2, false), (false, 7, true)] {
        let scene = Scene::new(site(), "").await;
        scene.grant(|grant| {
            expire(grant, HOUR);
            grant.strict_rotation = strict;
            grant.renewal.intent = Some(Intent { since: grant.issued, tries });
        });
        if renewed {
            assert!(scene.site.desk().is_live(&scene.token().await.unwrap()));
        } else {
            assert!(scene.refused(Code::SignInAgain).await.contains("works once"));
        }
        assert_eq!(scene.refreshes(), usize::from(renewed), "{strict} {tries}");
    }
}

#[tokio::test]
async fn t43_a_clock_that_was_set_renews_and_ends_nothing() {
    let century = Duration::from_secs(100 * 365 * 24 * 3600);
    let scene = Scene::new(site(), "").await;
    // the clock was far ahead when it was issued, and has been put right
    scene.grant(|grant| {
        grant.issued += century;
        grant.expires = grant.expires.map(|end| end + century);
        grant.renewal.not_before = Some(grant.issued);
    });
    assert!(scene.site.desk().is_live(&scene.token().await.unwrap()));
    assert!(scene.stored().1.issued < SystemTime::now());
    // the clock is far ahead now
    scene.grant(|grant| expire(grant, century / 3));
    assert!(scene.site.desk().is_live(&scene.token().await.unwrap()));
    assert_eq!(scene.refreshes(), 2);
}

/// A vault that cannot be written for a while: no real one can be brought to fail at this very write.
struct Stubborn {
    memory: Memory,
    refusals: AtomicU32,
}

impl Vault for Stubborn {
    fn get(&self, name: &SecretName) -> Result<Option<Record>> {
        self.memory.get(name)
    }

    fn list(&self) -> Result<Vec<(SecretName, Record)>> {
        self.memory.list()
    }

    fn count(&self) -> Result<usize> {
        self.memory.count()
    }

    fn writes(&self) -> Result<u64> {
        self.memory.writes()
    }

    fn put(
        &self,
        name: &SecretName,
        stored: Stored,
        tags: BTreeMap<String, String>,
        allowed: Allowed<'_>,
    ) -> Result<(Generation, Revision)> {
        self.memory.put(name, stored, tags, allowed)
    }

    fn replace(&self, name: &SecretName, expected: Revision, grant: Arc<Grant>) -> Result<Option<Revision>> {
        // the intent is written, the answer is not
        let more = |left: u32| left.checked_sub(1);
        if grant.renewal.intent.is_none() && self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok() {
            return Err(Error::new(Code::VaultUnwritable, "The disk is full.", "Make room."));
        }
        self.memory.replace(name, expected, grant)
    }

    fn delete(&self, name: &SecretName) -> Result<Option<Record>> {
        self.memory.delete(name)
    }

    fn bury(&self, name: &SecretName, expected: Revision, tombstone: Tombstone) -> Result<bool> {
        self.memory.bury(name, expected, tombstone)
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>> {
        self.memory.tombstones()
    }

    fn settle(&self, id: &str, left: Option<Tombstone>) -> Result<()> {
        self.memory.settle(id, left)
    }

    fn try_turn(&self, generation: Generation) -> Result<Option<Turn>> {
        self.memory.try_turn(generation)
    }
}

#[tokio::test]
async fn new_tokens_are_held_until_the_vault_takes_them_and_nobody_sees_them_before() {
    let vault = Arc::new(Stubborn { memory: Memory::default(), refusals: AtomicU32::new(3) });
    let scene = Scene::around(site(), "", Arc::clone(&vault) as Arc<dyn Vault>).await;
    let token = scene.token().await.unwrap();
    assert_eq!(vault.refusals.load(Ordering::SeqCst), 0);
    assert_eq!(scene.stored().1.access.expose(), token);
    assert!(scene.site.desk().is_live(&token));
    assert_eq!(scene.refreshes(), 1);
}
