//! The same for every installer: one page, asked for as each of them asks.

use heliostat_directory::{Check, Gate};
use heliostat_pypi::Sha256;
use serde_json::json;

use super::alive::CANARY;
use super::passable;
use crate::agents::{Agent, CURL, OTHERS, PIP, UV, Weight};
use crate::reference::Reference;
use crate::reply::Reply;
use crate::trouble::Trouble;
use crate::walk::{Freshness, Visit};

/// Compares what each installer gets with what curl gets.
pub(super) async fn check(visit: &mut Visit<'_, '_>, reference: &Reference) -> Result<(), Trouble> {
    let canary = reference.canary(CANARY).clone();
    let Ok(mut plain) = passable(visit.page(&canary, &CURL, Freshness::Any).await)? else {
        return Ok(());
    };
    let mine = Agent {
        name: "the prober",
        header: "heliostat",
        weight: Weight::Warning,
    };
    for agent in [PIP, UV, mine].into_iter().chain(OTHERS) {
        let Ok(mut reply) = passable(visit.page(&canary, &agent, Freshness::Any).await)? else {
            continue;
        };
        if !same(&plain, &reply) {
            // It may have changed in between.
            let again = visit.page(&canary, &CURL, Freshness::Any).await;
            let Ok(again) = passable(again)? else {
                continue;
            };
            plain = again;
            let Ok(again) = passable(visit.page(&canary, &agent, Freshness::Any).await)? else {
                continue;
            };
            reply = again;
        }
        if !same(&plain, &reply) {
            differs(visit, &agent, &plain, &reply);
        }
    }
    Ok(())
}

fn same(one: &Reply, other: &Reply) -> bool {
    one.status == other.status && one.body == other.body && one.whole && other.whole
}

fn differs(visit: &mut Visit<'_, '_>, agent: &Agent, plain: &Reply, reply: &Reply) {
    let text = if plain.status == reply.status {
        format!("gives {} another page than curl", agent.name)
    } else {
        format!(
            "answers {} {} where curl gets {}",
            agent.name,
            reply.status.as_u16(),
            plain.status.as_u16()
        )
    };
    match agent.weight {
        Weight::Gate => {
            let expected = json!({
                "status": plain.status.as_u16(),
                "body-sha256": Sha256::of(&plain.body).to_hex(),
            });
            let kind = (Check::UserAgents, Gate::UserAgents);
            visit.prove(kind, text, (reply, agent.header), expected);
        }
        Weight::Warning => {
            let address = Some(visit.address());
            visit.notes.warn(Check::UserAgents, address, text);
        }
    }
}
