//! `heliostat migrate map check --online`: whether somebody answers at the new addresses of a map.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use heliostat_migrate::Kind;
use heliostat_migrate::map::{Map, Rule};
use heliostat_upstream::{Upstream, UpstreamError, UpstreamOptions};
use url::Url;

use crate::outcome::Outcome;
use crate::render::plural;
use crate::{reporter, wire};

/// How long an answer may take to begin.
const DEADLINE: Duration = Duration::from_secs(15);

/// Addresses that are asked at the same time.
const ASKED_MAX: usize = 8;

/// The end of a rule: where it leads to, and whether that address itself has to be a page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    url: Url,
    is_page: bool,
}

/// Asks every new address of the user's own entries, or of the built-in ones where the user has none.
pub(super) fn check(map: &Map) -> anyhow::Result<Outcome> {
    let own = map.entries().iter().any(|entry| !entry.builtin);
    let targets: BTreeSet<Target> = map
        .entries()
        .iter()
        .filter(|entry| !own || !entry.builtin)
        .flat_map(|entry| &entry.rules)
        .filter_map(target)
        .collect();
    let runtime = wire::runtime()?;
    let answers = runtime.block_on(async {
        futures_util::stream::iter(targets)
            .map(async |target| {
                let answer = ask(&target.url).await;
                (target, answer)
            })
            .buffered(ASKED_MAX)
            .collect::<Vec<_>>()
            .await
    });
    wire::end(runtime);
    let mut silent = 0;
    for (target, answer) in &answers {
        let verdict = judge(target, answer.as_ref().err());
        silent += u64::from(verdict.is_err());
        let (mark, words) = match verdict {
            Ok(words) => ("answers", words),
            Err(words) => ("FAILS", words),
        };
        reporter::print(&format!("{mark:<8} {}: {words}\n", target.url));
    }
    reporter::talk(&format!(
        "{} asked, {silent} of them failed",
        plural(answers.len() as u64, "new address")
    ));
    Ok(if silent == 0 {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

fn target(rule: &Rule) -> Option<Target> {
    let mut url = rule.to.clone()?;
    let pages = [
        Kind::Index,
        Kind::ExtraIndex,
        Kind::FindLinks,
        Kind::Upload,
        Kind::Search,
    ];
    let is_page = rule.kinds.iter().any(|kind| pages.contains(kind))
        && !rule.kinds.contains(&Kind::Artifact)
        || url.path().trim_end_matches('/').ends_with("/simple");
    // Installers ask with the slash, and what answers without it may be a redirect.
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Some(Target { url, is_page })
}

async fn ask(url: &Url) -> Result<(), UpstreamError> {
    let mut options = UpstreamOptions::new(url.clone(), wire::default_user_agent());
    options.netrc = wire::usual_netrc();
    Upstream::new(options)?.open(url, 0, DEADLINE).await?;
    Ok(())
}

/// What an answer means for a move there.
fn judge(target: &Target, failure: Option<&UpstreamError>) -> Result<String, String> {
    let Some(error) = failure else {
        return Ok("200".to_owned());
    };
    match error.status() {
        Some(status @ (401 | 403)) => Ok(format!("{status}, it asks for a login")),
        // An upload address takes no GET.
        Some(status @ (400 | 405)) => Ok(format!("{status}, it takes other requests")),
        Some(status @ (404 | 410)) if !target.is_page => Ok(format!(
            "{status}, nothing is listed here; look whether what lies below answers"
        )),
        Some(status) => Err(format!("{status}: is the path right?")),
        None => Err(words(error)),
    }
}

/// An error with what is behind it, on one line.
fn words(error: &UpstreamError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
