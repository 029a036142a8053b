//! What is due when, and that it is due once.

use proptest::prelude::*;

use super::*;
use crate::observe::Round;
use crate::state::Decided;

const ADDED: i64 = 1_793_491_200; // 2026-11-01
const ROUND: i64 = 1800;

fn registry(more: &str) -> Registry {
    let text = format!(
        "id = \"campus\"\ninception = \"2026-11-01\"\nadmitted = \"2026-11-01T00:00:00Z\"\n{more}\n\
         operator = {{ name = \"Campus\" }}\n\n[[endpoints]]\nid = \"campus-main\"\n\
         base = \"https://mirror.example.edu/pypi/\"\n"
    );
    Registry::read([("campus.toml", text.as_str())], None).unwrap()
}

fn policy() -> Policy {
    Policy::read("[active]\navailable_min = 0.5\n[states]\nclean_in_a_row = 3\n").unwrap()
}

/// Half-hourly rounds of eight good days, and then as told; `true` is up.
fn history(after: &[(bool, i64)]) -> Vec<Round> {
    let mut rounds = Vec::new();
    let mut at = ADDED;
    for (up, seconds) in [(true, 8 * DAY)].iter().chain(after) {
        let until = at + seconds;
        while at < until {
            at += ROUND;
            let outcome = if *up { Outcome::Alive } else { Outcome::Failed };
            let endpoint = EndpointId::try_from("campus-main".to_owned()).unwrap();
            let mut sample = Sample::new(endpoint, VantageId("here".to_owned()), outcome);
            sample.lag_seconds = up.then_some(60);
            sample.present = crate::observe::Count { ok: 32, n: 32 };
            if !up {
                sample.faults = vec!["connection refused".to_owned()];
            }
            rounds.push(Round {
                at,
                control: Outcome::Alive,
                samples: vec![sample],
            });
        }
    }
    rounds
}

fn due(registry: &Registry, rounds: &[Round], told: &BTreeSet<String>, now: i64) -> Vec<Notice> {
    due_after(registry, rounds, (told, None), now)
}

fn due_after(
    registry: &Registry,
    rounds: &[Round],
    (told, told_until): (&BTreeSet<String>, Option<i64>),
    now: i64,
) -> Vec<Notice> {
    let policy = policy();
    let decided: BTreeMap<EndpointId, Decided> = Decided::of_all(registry);
    let mut replay = Replay::begin(&decided, &policy);
    for round in rounds.iter().filter(|round| round.at <= now) {
        replay.take(round);
    }
    notices(&Known {
        registry,
        policy: &policy,
        replay: &replay,
        told,
        told_until,
        now,
    })
}

fn kinds(notices: &[Notice]) -> Vec<NoticeKind> {
    notices.iter().map(|notice| notice.kind).collect()
}

#[test]
fn a_mirror_that_dies_hears_of_every_step_before_it_is_taken() {
    let registry = registry("");
    let rounds = history(&[(false, 40 * DAY)]);
    let fails_at = ADDED + 8 * DAY;
    let degraded_at = fails_at + 3 * ROUND;
    let suspended_at = degraded_at + DAY;
    let nobody = BTreeSet::new();
    let at = |now| due(&registry, &rounds, &nobody, now);
    assert_eq!(kinds(&at(fails_at + ROUND)), []);
    let first = at(degraded_at);
    assert_eq!(kinds(&first), [NoticeKind::Degraded]);
    assert!(
        first[0].log[0].contains("connection refused"),
        "{:?}",
        first[0].log
    );
    assert!(
        first[0]
            .text
            .contains("heliostat directory probe --me https://mirror.example.edu/pypi/")
    );
    assert!(
        first[0].log[0].ends_with("(3 rounds, the first at 2026-11-09 00:30 UTC)"),
        "{:?}",
        first[0].log
    );
    assert_eq!(first[0].next[0].action, Action::Notice);
    assert_eq!(
        kinds(&at(degraded_at + 12 * 3600 - 1)),
        [NoticeKind::Degraded]
    );
    let second = at(degraded_at + 12 * 3600);
    assert_eq!(
        kinds(&second),
        [NoticeKind::Degraded, NoticeKind::SuspensionNear]
    );
    let next = second[1].next.last().unwrap();
    assert_eq!(
        (next.action, next.at.as_second()),
        (Action::Suspend, suspended_at)
    );
    let mut retirement = BTreeSet::new();
    for day in 0..30 {
        let found = at(suspended_at + day * DAY);
        assert_eq!(found[0].kind, NoticeKind::Suspended);
        assert!(found.len() <= 2, "only the newest of one kind");
        retirement.extend(
            found
                .into_iter()
                .skip(1)
                .map(|notice| (notice.due_at.as_second() - suspended_at) / DAY),
        );
    }
    assert_eq!(retirement, BTreeSet::from([1, 7, 16, 29]));
    assert_eq!(kinds(&at(suspended_at + 30 * DAY)), [NoticeKind::Retired]);
}

#[test]
fn who_heard_that_it_was_out_hears_that_it_is_back_and_nobody_else() {
    let registry = registry("");
    let rounds = history(&[(false, 4 * ROUND), (true, DAY)]);
    let down = due(
        &registry,
        &rounds,
        &BTreeSet::new(),
        ADDED + 8 * DAY + 4 * ROUND,
    );
    assert_eq!(kinds(&down), [NoticeKind::Degraded]);
    let back = ADDED + 9 * DAY;
    assert_eq!(kinds(&due(&registry, &rounds, &BTreeSet::new(), back)), []);
    let told = BTreeSet::from([down[0].id.clone()]);
    assert_eq!(
        kinds(&due(&registry, &rounds, &told, back)),
        [NoticeKind::Recovered]
    );
}

#[test]
fn what_came_and_went_between_two_looks_is_told_in_order() {
    let registry = registry("");
    let nobody = BTreeSet::new();
    let rounds = history(&[
        (false, 4 * ROUND),
        (true, 6 * ROUND),
        (false, 4 * ROUND),
        (true, DAY),
    ]);
    let before = ADDED + 8 * DAY;
    let now = before + DAY;
    let found = due_after(&registry, &rounds, (&nobody, Some(before)), now);
    let all = [
        NoticeKind::Degraded,
        NoticeKind::Recovered,
        NoticeKind::Degraded,
        NoticeKind::Recovered,
    ];
    assert_eq!(kinds(&found), all);
    let spans: Vec<_> = found.iter().map(|one| (one.since, one.until)).collect();
    for pair in spans.windows(2) {
        assert_eq!(pair[0].1, pair[1].0, "each ends where the next begins");
    }
    assert_eq!(spans[3].1, None, "the last still holds");
    assert!(found[0].log[0].contains("connection refused"));
    assert_eq!(
        found[0].text.lines().next().unwrap(),
        "Your PyPI mirror campus-main (https://mirror.example.edu/pypi/) was degraded from 2026-11-09 01:30 UTC until \
         2026-11-09 03:30 UTC: too many rounds in a row failed."
    );
    // Told, it stays the same and is told to nobody again; of what was before the last look, nothing.
    let told: BTreeSet<String> = found.iter().map(|notice| notice.id.clone()).collect();
    let again = due_after(&registry, &rounds, (&told, Some(before)), now);
    assert_eq!(again, found);
    let later = due_after(&registry, &rounds, (&told, Some(now)), now);
    assert_eq!(kinds(&later), [NoticeKind::Recovered]);
    // Nor of what is long ago.
    let late = before + 30 * DAY;
    assert_eq!(
        kinds(&due_after(
            &registry,
            &rounds,
            (&nobody, Some(before)),
            late
        )),
        []
    );
}

#[test]
fn what_people_decide_and_what_runs_out_is_told_too() {
    let now = ADDED + 9 * DAY;
    let leaving = registry("retires = { at = \"2026-11-20T00:00:00Z\", reason = \"it moves\" }");
    let mut rounds = history(&[(true, DAY)]);
    let found = due(&leaving, &rounds, &BTreeSet::new(), now);
    assert_eq!(kinds(&found), [NoticeKind::Leaving]);
    assert!(found[0].text.contains("it moves"));
    let contact = format!(
        "contacts = [{{ kind = \"email\", sha256 = \"{}\", confirmed = \"2026-05-01\" }}]",
        "0".repeat(64)
    );
    let found = due(&registry(&contact), &rounds, &BTreeSet::new(), now);
    assert_eq!(kinds(&found), [NoticeKind::ContactOld]);
    let fresh = contact.replace("2026-05-01", "2026-11-01");
    assert_eq!(
        kinds(&due(&registry(&fresh), &rounds, &BTreeSet::new(), now)),
        []
    );
    let registry = registry("");
    let days = |rounds: &mut Vec<Round>, days| {
        rounds.last_mut().unwrap().samples[0].certificate_days = Some(days);
    };
    days(&mut rounds, 14);
    assert_eq!(kinds(&due(&registry, &rounds, &BTreeSet::new(), now)), []);
    days(&mut rounds, 13);
    assert_eq!(
        kinds(&due(&registry, &rounds, &BTreeSet::new(), now)),
        [NoticeKind::CertificateNear]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_suspension_for_being_down_long_comes_without_notice_and_no_id_means_two_things(
        spans in proptest::collection::vec((any::<bool>(), 1_i64..60), 1..8),
    ) {
        let registry = registry("");
        let spans: Vec<(bool, i64)> = spans.iter().map(|(up, rounds)| (*up, rounds * ROUND)).collect();
        let rounds = history(&spans);
        let policy = policy();
        let decided = Decided::of_all(&registry);
        let mut replay = Replay::begin(&decided, &policy);
        let mut told: BTreeMap<String, NoticeKind> = BTreeMap::new();
        for round in &rounds {
            replay.take(round);
            let ids: BTreeSet<String> = told.keys().cloned().collect();
            let found = notices(&Known { registry: &registry, policy: &policy, replay: &replay, told: &ids, told_until: None, now: round.at });
            for notice in found {
                let id = notice.id.clone();
                prop_assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')));
                let before = told.insert(id, notice.kind);
                prop_assert!(before.is_none_or(|before| before == notice.kind));
            }
            let end = replay.end();
            for (id, moved) in &end.transitions {
                if moved.to.rule == Rule::DegradedTooLong {
                    let warned = format!("{id}.suspension-near.");
                    prop_assert!(told.keys().any(|id| id.starts_with(&warned)));
                }
            }
        }
    }
}
