//! Every move of a mirror from a state to another, and rounds that moved none.

use askama::Template;

use super::super::view::View;
use super::super::words;
use super::Frame;

/// Moves on the page.
const MOVES_MAX: usize = 500;
/// Rounds of a kind on the page.
const ROUNDS_MAX: usize = 50;

#[derive(Template)]
#[template(path = "changes.html")]
pub(super) struct Changes {
    frame: Frame,
    moves: Vec<Move>,
    discarded: Vec<(String, &'static str)>,
    braked: Vec<(String, usize)>,
    evidence: Vec<String>,
}

struct Move {
    when: String,
    page: String,
    name: String,
    endpoint: String,
    from: String,
    to: String,
    why: String,
}

impl Changes {
    pub(super) fn of(view: &View<'_>) -> Self {
        let mut moves = Vec::new();
        for (id, moved) in view.replayed.transitions.iter().rev().take(MOVES_MAX) {
            let Some(of) = view.endpoints.iter().find(|of| of.endpoint.id == *id) else {
                continue;
            };
            moves.push(Move {
                when: words::moment(moved.to.since),
                page: format!("mirrors/{}.html#{id}", of.mirror.id),
                name: of.mirror.operator.name.clone(),
                endpoint: id.to_string(),
                from: moved.from.to_string(),
                to: moved.to.state.to_string(),
                why: moved.to.rule.to_string(),
            });
        }
        let replayed = &view.replayed;
        Self {
            frame: Frame::new(view, "", "changes"),
            moves,
            discarded: replayed
                .discarded
                .iter()
                .rev()
                .take(ROUNDS_MAX)
                .map(|(at, why)| (words::moment(*at), *why))
                .collect(),
            braked: replayed
                .braked
                .iter()
                .rev()
                .take(ROUNDS_MAX)
                .map(|braked| (words::moment(braked.at), braked.held.len()))
                .collect(),
            evidence: view.evidence.to_vec(),
        }
    }
}
