//! One turn of one contestant: started, asked one call at a time, asked many at once, filled.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::contestants::{Contestant, ECHO};
use super::driver::Session;
use super::figures::{Turn, median, tail};
use super::metrics::Metric;

/// How often a process is started in a turn.
pub(super) const STARTS: usize = 9;
/// How many calls one at a time.
pub(super) const CALLS: usize = 2000;
/// How many at once.
pub(super) const MANY: usize = 20_000;
/// How many references are held.
const REFERENCES: usize = 100_000;
/// How many secrets are stored.
const SECRETS: usize = 10_000;

/// Takes the turn.
pub(super) fn take(contestant: &Contestant) -> Result<Turn> {
    let mut turn = Turn::new();
    let mut starts = Vec::new();
    for _ in 1..STARTS {
        starts.push(Session::start(contestant)?.started_in);
    }
    let mut session = Session::start(contestant)?;
    starts.push(session.started_in);
    put(&mut turn, Metric::Start, median(starts.iter().map(|start| start.as_secs_f64() * 1e3)));
    put(&mut turn, Metric::Resident, session.resident_mib());

    session.call("store_secret", &stored("bench"))?;
    let id = reference(&mut session)?;
    let resolve = json!({ "reference_id": id });
    // both kinds in turn, so that a slow moment is a slow moment for both
    let (mut gets, mut resolves) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        gets.push(session.call("get_secret", &wanted())?);
        resolves.push(session.call("resolve_secret", &resolve)?);
    }
    let micros = |calls: &[Duration]| calls.iter().map(|call| call.as_secs_f64() * 1e6).collect::<Vec<_>>();
    put(&mut turn, Metric::GetMedian, median(micros(&gets).into_iter()));
    put(&mut turn, Metric::GetTail, tail(micros(&gets).into_iter()));
    put(&mut turn, Metric::ResolveMedian, median(micros(&resolves).into_iter()));
    put(&mut turn, Metric::ResolveTail, tail(micros(&resolves).into_iter()));

    let rate = |took: Duration| Some(MANY as f64 / took.as_secs_f64());
    let took = session.many("get_secret", &mut (0..MANY).map(|_| wanted()))?;
    put(&mut turn, Metric::GetMany, rate(took));
    let took = session.many("resolve_secret", &mut (0..MANY).map(|_| resolve.clone()))?;
    put(&mut turn, Metric::ResolveMany, rate(took));
    drop(session);

    if contestant.name != ECHO {
        fill(contestant, &mut turn)?;
    }
    Ok(turn)
}

/// What holding much costs.
fn fill(contestant: &Contestant, turn: &mut Turn) -> Result<()> {
    let mut session = Session::start(contestant)?;
    session.call("store_secret", &stored("bench"))?;
    session.many("get_secret", &mut (0..100).map(|_| wanted()))?;
    let before = session.resident_mib();
    session.many("get_secret", &mut (0..REFERENCES).map(|_| wanted()))?;
    let with = session.resident_mib();
    put(turn, Metric::ResidentWithReferences, with);
    put(turn, Metric::BytesEach, with.zip(before).map(|(with, before)| (with - before) * 1024.0 * 1024.0 / REFERENCES as f64));
    drop(session);

    let mut session = Session::start(contestant)?;
    session.many("store_secret", &mut (0..SECRETS).map(|number| stored(&format!("service/account-{number}"))))?;
    put(turn, Metric::ResidentWithSecrets, session.resident_mib());
    Ok(())
}

fn put(turn: &mut Turn, metric: Metric, value: Option<f64>) {
    turn.extend(value.map(|value| (metric, value)));
}

pub(super) fn stored(name: &str) -> Value {
    json!({ "name": name, "value": "a value of usual length, 36 chars.." })
}

pub(super) fn wanted() -> Value {
    json!({ "name": "bench", "purpose": "measuring", "ttl_seconds": 600 })
}

/// A reference; of who has none, something as long.
fn reference(session: &mut Session) -> Result<String> {
    let Some(told) = session.told("get_secret", &wanted())? else {
        return Ok("00000000-0000-4000-8000-000000000000".to_owned());
    };
    Ok(told["reference"]["id"].as_str().context("get_secret gave no reference")?.to_owned())
}
