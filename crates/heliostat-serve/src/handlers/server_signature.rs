//! PEP 381's `/serverkey` and `/serversig/<project>`, with the notary's online key in the place of DSA: for people who
//! check a page by hand. Clients use `/tuf/`, which also tells what is current.
//!
//! Signatures are made when they are asked for: one for each page would double what a publication has to sign, and add
//! a file for each project to every copy of the tree. So only a server that holds the key has them.

use std::sync::Arc;

use heliostat_engine::publish::{PageSignature, Signer, sign_page};
use heliostat_pypi::ProjectName;
use http::StatusCode;
use http::header::CACHE_CONTROL;

use super::{blocking, busy, failed};
use crate::on_demand::no_such_project;
use crate::problem::Problem;
use crate::reply::{NO_CACHE, Reply};
use crate::site::Site;

/// `/serverkey`
pub(crate) fn key(site: &Site) -> Result<Reply, Problem> {
    let pem = signer(site)?.public().to_pem();
    Ok(Reply::bytes("application/x-pem-file", pem).with(CACHE_CONTROL, NO_CACHE))
}

/// `/serversig/<project>`
pub(crate) async fn signature(site: &Arc<Site>, name: ProjectName) -> Result<Reply, Problem> {
    let signer = signer(site)?;
    let (store, project) = (site.tree.store.clone(), name.clone());
    let made = blocking(move || sign_page(&store, &signer, &project))
        .await?
        .map_err(|error| failed(&error))?;
    match made {
        PageSignature::Made(signature) => {
            let bytes = signature.as_bytes().to_vec();
            Ok(Reply::bytes("application/octet-stream", bytes).with(CACHE_CONTROL, NO_CACHE))
        }
        PageSignature::NoPage => Err(no_such_project(&name)),
        PageSignature::Changing => Err(busy()),
    }
}

fn signer(site: &Site) -> Result<Signer, Problem> {
    let signer = site.notary.as_ref().and_then(|notary| notary.by_hand());
    signer.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "This server does not hold the key of a notary; the notary's own has this address. Everything below /tuf/ \
             proves the same and more.",
        )
    })
}
