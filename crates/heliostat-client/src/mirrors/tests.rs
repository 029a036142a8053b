//! Ranking: what moves a mirror, how clients differ, and that it stays quick with very many.

use proptest::prelude::*;

use super::rank::{Advice, Circuit, Measured, Prior, RankPolicy, Rated, Seed, circuit, rank};

const HALF_LIFE: f64 = 600.0;

fn listed(name: &str) -> Rated<'_> {
    Rated {
        name,
        is_given: false,
        is_pinned: false,
        prior: Prior {
            advice: Advice::Use,
            health: Some(0.95),
            lag_seconds: Some(0),
            first_byte_milliseconds: None,
        },
        measured: Measured::default(),
        timestamp: 0,
    }
}

fn order(mirrors: &[Rated<'_>], now: i64, seed: Seed) -> Vec<usize> {
    let ranked = rank(mirrors, &RankPolicy::default(), now, seed);
    ranked.into_iter().map(|(at, _)| at).collect()
}

fn of_client(client: u64) -> Seed {
    Seed { client, draw: None }
}

fn answered(milliseconds: f64, times: u32, now: i64) -> Measured {
    let mut measured = Measured::default();
    for _ in 0..times {
        measured
            .latency_milliseconds
            .add(milliseconds, now, HALF_LIFE);
        measured.success.add(1.0, now, HALF_LIFE);
    }
    measured
}

fn failed(times: u32, now: i64) -> Measured {
    let mut measured = Measured {
        failures_in_a_row: times,
        failed_at: now,
        ..Measured::default()
    };
    for _ in 0..times {
        measured.success.add(0.0, now, HALF_LIFE);
    }
    measured
}

#[test]
fn clients_spread_over_mirrors_that_look_alike_and_each_stays_with_its_own() {
    let names: Vec<String> = (0..8)
        .map(|number| format!("https://{number}.example/"))
        .collect();
    let mirrors: Vec<Rated<'_>> = names.iter().map(|name| listed(name)).collect();
    let mut firsts = [0_u32; 8];
    for client in 0..800 {
        let first = order(&mirrors, 0, of_client(client))[0];
        assert_eq!(first, order(&mirrors, 5_000, of_client(client))[0]);
        firsts[first] += 1;
    }
    assert!(
        firsts.iter().all(|count| (50..200).contains(count)),
        "{firsts:?}"
    );
}

#[test]
fn what_was_measured_beats_what_was_said_until_it_is_forgotten() {
    let mut said_slow = listed("https://slow.example/");
    said_slow.prior.first_byte_milliseconds = Some(900);
    let said_fast = listed("https://fast.example/");
    let seed = of_client(7);
    assert_eq!(order(&[said_slow, said_fast], 0, seed), [1, 0]);
    said_slow.measured = answered(5.0, 20, 0);
    let mut was_slow = said_fast;
    was_slow.measured = answered(2_000.0, 20, 0);
    assert_eq!(order(&[said_slow, was_slow], 0, seed), [0, 1]);
    assert_eq!(order(&[said_slow, was_slow], 86_400, seed), [1, 0]);
}

#[test]
fn a_list_moves_a_mirror_and_takes_none_away() {
    let good = listed("https://good.example/");
    let mut avoided = listed("https://avoided.example/");
    avoided.prior.advice = Advice::Avoid;
    avoided.measured = answered(1.0, 20, 0);
    let mut spare = listed("https://spare.example/");
    spare.prior.advice = Advice::Spare;
    spare.prior.lag_seconds = Some(86_400);
    for client in 0..50 {
        assert_eq!(
            order(&[avoided, spare, good], 0, of_client(client)),
            [2, 1, 0]
        );
    }
    let unknown = Rated {
        prior: Prior::default(),
        ..listed("https://unknown.example/")
    };
    assert_eq!(order(&[unknown, good], 0, of_client(3)).len(), 2);
}

#[test]
fn who_shows_an_older_state_comes_later_and_who_was_never_asked_does_not() {
    let mut new = listed("https://new.example/");
    let mut old = listed("https://old.example/");
    (new.timestamp, old.timestamp) = (12, 11);
    old.measured = answered(1.0, 20, 0);
    let unasked = listed("https://unasked.example/");
    for client in 0..50 {
        assert_eq!(order(&[old, new, unasked], 0, of_client(client))[2], 0);
    }
}

#[test]
fn a_circuit_opens_for_longer_each_time_and_lets_one_request_try() {
    let policy = RankPolicy::default();
    let at = |measured: &Measured, now| circuit(measured, &policy, now, 99);
    assert_eq!(at(&Measured::default(), 0), Circuit::Closed);
    assert_eq!(at(&failed(1, 100), 101), Circuit::Cooling);
    assert_eq!(at(&failed(2, 100), 103), Circuit::Closed);
    for (failures, seconds) in [(3, 30), (4, 120), (5, 480), (6, 1_800), (60, 1_800)] {
        let mut broken = failed(failures, 100);
        assert_eq!(
            at(&broken, 100 + seconds * 79 / 100),
            Circuit::Open,
            "{failures}"
        );
        let later = 100 + seconds * 122 / 100;
        assert_eq!(at(&broken, later), Circuit::HalfOpen, "{failures}");
        broken.tried_at = later;
        assert_eq!(at(&broken, later + 1), Circuit::Open, "somebody tries");
        assert_eq!(
            at(&broken, later + 11),
            Circuit::HalfOpen,
            "and said nothing"
        );
    }
    // A clock that was put back opens and closes nothing for ever.
    assert_eq!(at(&failed(3, 1_000_000), 5), Circuit::HalfOpen);
}

#[test]
fn a_little_is_tried_out_and_never_what_is_broken_or_behind() {
    let names: Vec<String> = (0..6)
        .map(|number| format!("https://{number}.example/"))
        .collect();
    let mut mirrors: Vec<Rated<'_>> = names.iter().map(|name| listed(name)).collect();
    for mirror in &mut mirrors {
        mirror.timestamp = 5;
        mirror.measured = answered(10.0, 20, 0);
    }
    mirrors[1].measured = failed(9, 0);
    mirrors[2].timestamp = 4;
    mirrors[3].measured = Measured::default();
    let usual = order(&mirrors, 1, of_client(1))[0];
    let mut others = 0;
    for draw in 0..10_000 {
        let seed = Seed {
            client: 1,
            draw: Some(draw),
        };
        let first = order(&mirrors, 1, seed)[0];
        assert!(![1, 2].contains(&first));
        others += u32::from(first != usual);
        assert!(first == usual || first == 3, "the least known is tried");
    }
    assert!((350..650).contains(&others), "{others}");
    // What the user gave alone is asked in the user's order.
    for mirror in &mut mirrors {
        mirror.is_given = true;
    }
    let usual = order(&mirrors, 1, of_client(1));
    for draw in 0..200 {
        assert_eq!(
            order(
                &mirrors,
                1,
                Seed {
                    client: 1,
                    draw: Some(draw)
                }
            ),
            usual
        );
    }
}

#[test]
fn ten_thousand_mirrors_are_ranked() {
    let names: Vec<String> = (0..10_000)
        .map(|number| format!("https://{number}.example/pypi/"))
        .collect();
    let mirrors: Vec<Rated<'_>> = names.iter().map(|name| listed(name)).collect();
    let began = tokio::time::Instant::now();
    let ranked = order(
        &mirrors,
        0,
        Seed {
            client: 4,
            draw: Some(9),
        },
    );
    println!("10,000 mirrors ranked in {:?}", began.elapsed());
    let mut all = ranked.clone();
    all.sort_unstable();
    assert_eq!(all, (0..10_000).collect::<Vec<_>>());
}

prop_compose! {
    fn any_measured()(
        latency in prop::option::of(-1e9..1e12_f64), speed in prop::option::of(-1.0..1e12_f64),
        success in prop::collection::vec(0.0..=1.0_f64, 0..9), failures_in_a_row in 0_u32..80,
        failed_at in any::<i64>(), tried_at in any::<i64>(), at in any::<i64>(),
    ) -> Measured {
        let mut measured = Measured { failures_in_a_row, failed_at, tried_at, ..Measured::default() };
        if let Some(latency) = latency {
            measured.latency_milliseconds.add(latency, at, HALF_LIFE);
        }
        if let Some(speed) = speed {
            measured.kilobytes_per_second.add(speed, at, HALF_LIFE);
        }
        for sample in success {
            measured.success.add(sample, at, HALF_LIFE);
        }
        measured
    }
}

prop_compose! {
    fn any_prior()(
        advice in prop::sample::select(vec![Advice::None, Advice::Use, Advice::Spare, Advice::Avoid]),
        health in prop::option::of(any::<f64>()), lag_seconds in any::<Option<u64>>(),
        first_byte_milliseconds in any::<Option<u32>>(),
    ) -> Prior {
        Prior { advice, health, lag_seconds, first_byte_milliseconds }
    }
}

proptest! {
    #[test]
    fn everybody_has_one_place_whatever_was_measured(
        drawn in prop::collection::vec((any_prior(), any_measured(), any::<(bool, bool, u64)>()), 0..40),
        client in any::<u64>(), draw in any::<Option<u64>>(), now in any::<i64>(),
    ) {
        let names: Vec<String> = (0..drawn.len()).map(|at| format!("https://{at}.example/")).collect();
        let mirrors: Vec<Rated<'_>> = drawn.iter().zip(&names).map(|((prior, measured, (is_given, is_pinned, timestamp)), name)| Rated {
            name, is_given: *is_given, is_pinned: *is_pinned, prior: *prior, measured: *measured, timestamp: *timestamp,
        }).collect();
        let seed = Seed { client, draw };
        let ranked = order(&mirrors, now, seed);
        prop_assert_eq!(&ranked, &order(&mirrors, now, seed), "the same again");
        let mut all = ranked;
        all.sort_unstable();
        prop_assert_eq!(all, (0..mirrors.len()).collect::<Vec<_>>());
    }

    #[test]
    fn a_better_word_never_moves_a_mirror_back(
        health in 0.05..0.95_f64, more in 0.0..0.05_f64, client in any::<u64>(), measured in any_measured(), now in 0..1_000_000_i64,
    ) {
        let others = ["https://a.example/", "https://b.example/", "https://c.example/"].map(listed);
        let place = |health| {
            let mut mirror = listed("https://x.example/");
            mirror.prior.health = Some(health);
            mirror.measured = measured;
            let mut all = others.to_vec();
            all.push(mirror);
            order(&all, now, of_client(client)).iter().position(|at| *at == 3)
        };
        prop_assert!(place(health + more) <= place(health));
    }
}
