//! `providers check`: puts a component through every flow that it claims and every fault that happens in practice.
//!
//! The other side is [`rehearsal::stage`](crate::rehearsal::stage), which plays the component's own endpoint table. In
//! between is the real broker, a new one for each scene, so that nothing of one is left in the next.
//!
//! | file | what it is |
//! |---|---|
//! | `script` | from a descriptor and its fixtures to what the stage plays, and the settings to play it with |
//! | `play` | one broker and one stage, and the person between them |
//! | `scenes` | the flows and faults, each with what must come of it |
//! | `claims` | what can be seen without playing |
//! | `report` | what came of it, for people and for programs |

mod claims;
mod play;
mod report;
mod scenes;
mod script;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use report::{Finding, Report, Verdict};

use crate::descriptor::Descriptor;
use crate::error::{Code, Error, Result, foreign};
use crate::providers::dropin::{self, DropIn};
use crate::providers::file;
use crate::rehearsal::stage::Fixtures;
use crate::sandbox::{Sandbox, Workshop};

/// How long the check waits for a component to be compiled: one in Python has 18 MB, and its author has time.
const COMPILE_WITHIN: Duration = Duration::from_secs(1200);

/// A component that is checked, with what its author says of the service.
pub(super) struct Subject {
    drop_in: DropIn,
    fixtures: Fixtures,
    /// Endpoints that some scene came to.
    asked: Mutex<BTreeSet<String>>,
}

impl Subject {
    fn descriptor(&self) -> &Descriptor {
        &self.drop_in.descriptor
    }

    fn saw(&self, endpoints: Vec<String>) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).extend(endpoints);
    }
}

/// Checks a component. `fixtures` is the file with the service's answers; not given, `NAME.fixtures.json`
/// beside the component or none. `workshop` is who compiles it.
///
/// # Errors
/// `component_rejected` or `component_fault` for what cannot be loaded at all; `invalid_argument` for fixtures that
/// cannot be read. What goes wrong while playing is in the report.
pub async fn check(component: &Path, fixtures: Option<&Path>, workshop: &Workshop) -> Result<Report> {
    let sandbox = Sandbox::new(&workshop.clone().patient(COMPILE_WITHIN))?;
    let mut drop_in = dropin::load(component, file::look_at(component)?, &sandbox).await?;
    let fixtures = read_fixtures(component, fixtures)?;
    script::check_fixtures(&drop_in.descriptor, &fixtures)?;
    let mut findings = vec![claims::loaded(&drop_in)];
    findings.extend(claims::exports(&drop_in));
    findings.push(claims::variables(&drop_in));
    // what this machine's environment holds has no business in a rehearsal
    let mut descriptor = (*drop_in.descriptor).clone();
    descriptor.settings.iter_mut().for_each(|setting| setting.env.clear());
    drop_in.descriptor = Arc::new(descriptor);
    let subject = Subject { drop_in, fixtures, asked: Mutex::default() };
    findings.extend(scenes::play(&subject).await);
    findings.push(claims::unasked(&subject));
    let descriptor = subject.descriptor();
    Ok(Report {
        name: descriptor.name.clone(),
        title: descriptor.title.clone(),
        version: descriptor.version.clone(),
        sha256: subject.drop_in.sha256.clone(),
        bytes: subject.drop_in.bytes,
        findings,
    })
}

fn read_fixtures(component: &Path, named: Option<&Path>) -> Result<Fixtures> {
    let beside = component.with_extension("fixtures.json");
    let file: PathBuf = match named {
        Some(file) => file.to_owned(),
        None if beside.is_file() => beside,
        None => return Ok(Fixtures::default()),
    };
    let wrong = |why: String| {
        Error::new(
            Code::InvalidArgument,
            format!("The fixtures {} are not as they must be: {}.", file.display(), foreign(&why)),
            "docs/writing-a-provider.md says what may stand in them.",
        )
    };
    let text = std::fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
    Fixtures::parse(&text).map_err(wrong)
}
