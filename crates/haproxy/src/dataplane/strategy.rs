//! What becomes of a service whose backend somebody else may already have made.

use thiserror::Error;

use super::view::{BackendView, FileView, SectionKind};
use crate::name::BackendName;
use crate::render::Balance;

/// What to do where a backend is there that carries no mark of ours. One that does is Roster's and never in the way.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Strategy {
    /// Keep the servers of a compatible one, and make a new one where there is none.
    #[default]
    UseExisting,
    /// Keep the servers of any, whatever its algorithm, and make a new one where there is none. What the algorithm does not
    /// take live comes by a reload.
    TakeOver,
    /// Always make a new one; one that is there is in the way.
    CreateNew,
    /// One that is there is an error of whoever set this up, and is told as such.
    FailOnConflict,
}

/// What becomes of a service's backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is not there: Roster makes it.
    Create,
    /// It is there and Roster's, all of it.
    Ours,
    /// It is there and somebody else's: only its servers are kept.
    ServersOnly,
}

/// Why a service is left out.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Conflict {
    /// A backend of the name is there.
    #[error(
        "backend {0} is already there and not Roster's, and the strategy is to make backends anew: remove or rename it, or \
         let the strategy be use_existing"
    )]
    Exists(BackendName),
    /// A backend of the name is there, which must not be.
    #[error(
        "backend {0} is already there and not Roster's, which the strategy fail_on_conflict forbids: remove or rename it, \
         or let the strategy be use_existing"
    )]
    Forbidden(BackendName),
    /// It chooses servers otherwise than wanted.
    #[error(
        "backend {backend} is already there with an incompatible configuration (balance {has}, wanted {wanted}): change \
         one of them, or rename it"
    )]
    Algorithm {
        /// The backend.
        backend: BackendName,
        /// What it has.
        has: String,
        /// What is wanted.
        wanted: Balance,
    },
    /// Its servers cannot be kept live.
    #[error(
        "backend {backend} is already there, and its algorithm (balance {has}) takes no servers while HAProxy runs: use \
         roundrobin, leastconn or `hash-type consistent`, or rename it"
    )]
    Static {
        /// The backend.
        backend: BackendName,
        /// What it has.
        has: String,
    },
    /// Its name is that of a listen section or stands there twice, or it depends on a condition.
    #[error(
        "section {keyword} {backend} has the name of a backend that Roster is to keep whole: rename one of them"
    )]
    Name {
        /// The backend.
        backend: BackendName,
        /// What kind of section it is.
        keyword: String,
    },
}

impl Strategy {
    /// What becomes of a service's backend. `wanted` is the algorithm that the service asks for, if it does.
    pub fn judge(
        self,
        view: &FileView<'_>,
        name: &BackendName,
        wanted: Option<&Balance>,
    ) -> Result<Verdict, Conflict> {
        let Some(there) = view.backend(name.as_str()) else { return Ok(Verdict::Create) };
        let section = view.sections.get(there.section);
        let is_backend = section.is_some_and(|section| section.kind == SectionKind::Backend);
        if there.mark.is_some() {
            let keyword = section.map(|section| section.keyword.to_string()).unwrap_or_default();
            let conflict = Conflict::Name { backend: name.clone(), keyword };
            return if is_backend { Ok(Verdict::Ours) } else { Err(conflict) };
        }
        match self {
            Self::UseExisting => {
                judge_algorithm(there, name, wanted)?;
                Ok(Verdict::ServersOnly)
            }
            Self::TakeOver => Ok(Verdict::ServersOnly),
            Self::CreateNew => Err(Conflict::Exists(name.clone())),
            Self::FailOnConflict => Err(Conflict::Forbidden(name.clone())),
        }
    }
}

fn judge_algorithm(
    there: &BackendView<'_>,
    name: &BackendName,
    wanted: Option<&Balance>,
) -> Result<(), Conflict> {
    let has = || there.algorithm.text.clone().unwrap_or_else(|| "not given".to_owned());
    if let Some(wanted) = wanted.filter(|wanted| !there.algorithm.is(wanted)) {
        return Err(Conflict::Algorithm { backend: name.clone(), has: has(), wanted: wanted.clone() });
    }
    if !there.algorithm.is_dynamic() {
        return Err(Conflict::Static { backend: name.clone(), has: has() });
    }
    Ok(())
}
