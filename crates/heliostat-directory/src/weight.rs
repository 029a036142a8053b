//! How much of all clients a list sends to each active endpoint: by health, and never more than a share of all to one
//! operator or one network, as far as there are enough of them.

use std::collections::BTreeMap;
use std::fmt;

use crate::policy::Policy;
use crate::registry::{Endpoint, EndpointId, Mirror, Registry};
use crate::state::{Replayed, State};

/// Rounds of handing out what caps took; each fills at least one group.
const ROUNDS_MAX: usize = 256;
/// Caps for more groups than these are not tried: a policy that wants less is loosened to this.
const GROUPS_MAX: usize = 16;
/// Shares that differ by less are the same.
const TINY: f64 = 1e-9;

/// The shares of all active endpoints.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights {
    /// By endpoint; only active ones have any, and all of them together have 1.
    pub of: BTreeMap<EndpointId, Weight>,
    /// What one operator has at most: the policy's cap, or where there are too few of them for it, what each would have
    /// at least if one of them were away.
    pub operator_share_max: f64,
    /// The same for one network.
    pub network_share_max: f64,
}

/// One endpoint's share.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    /// 0 to 1, with caps.
    pub share: f64,
    /// What it would be by health alone.
    pub uncapped: f64,
    /// What held it down, if anything did.
    pub held_by: Option<Group>,
}

/// Whom a cap is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// One operator, by name.
    Operator(String),
    /// One network, by the number of its autonomous system.
    Network(u32),
}

/// An active endpoint.
struct Member<'a> {
    id: &'a EndpointId,
    groups: Vec<Group>,
    uncapped: f64,
}

/// The share of every active endpoint by its health, capped.
pub fn weights(registry: &Registry, replayed: &Replayed, policy: &Policy) -> Weights {
    let active = |(_, endpoint): &(&Mirror, &Endpoint)| {
        replayed
            .standings
            .get(&endpoint.id)
            .is_some_and(|standing| standing.state == State::Active)
    };
    let health = |id: &EndpointId| replayed.health.get(id).map_or(0.0, |health| health.value);
    let members: Vec<(&Mirror, &Endpoint)> = registry.endpoints().filter(active).collect();
    // Where nobody is healthy all are the same.
    let total: f64 = members
        .iter()
        .map(|(_, endpoint)| health(&endpoint.id))
        .sum();
    let members: Vec<Member<'_>> = members
        .iter()
        .map(|(mirror, endpoint)| Member {
            id: &endpoint.id,
            groups: std::iter::once(Group::Operator(mirror.operator.name.to_lowercase()))
                .chain(endpoint.asn.map(Group::Network))
                .collect(),
            uncapped: if total > 0.0 {
                health(&endpoint.id) / total
            } else {
                1.0 / count(members.len())
            },
        })
        .collect();
    capped(&members, policy)
}

fn capped(members: &[Member<'_>], policy: &Policy) -> Weights {
    let caps = &policy.caps;
    let operators = steps(caps.operator_share_max);
    let networks = steps(caps.network_share_max);
    for operator in 0..operators.len() {
        for network in 0..networks.len() {
            let tight = (operators[operator], networks[network]);
            let Some(shares) = held(members, tight) else {
                continue;
            };
            let loose = (roomy(&operators, operator), roomy(&networks, network));
            return match held(members, loose) {
                Some(shares) => told(members, &shares, loose),
                None => told(members, &shares, tight),
            };
        }
    }
    let uncapped: Vec<f64> = members.iter().map(|member| member.uncapped).collect();
    told(members, &uncapped, (1.0, 1.0))
}

/// Caps to try: the wanted one, and then what each of fewer and fewer can have at least.
fn steps(wanted: f64) -> Vec<f64> {
    let looser = (1..=GROUPS_MAX).rev().map(|groups| 1.0 / count(groups));
    std::iter::once(wanted)
        .chain(looser.filter(|step| *step > wanted))
        .collect()
}

/// The wanted cap where it can hold. Where it cannot, the least that can would give all the same, whatever their health;
/// so one step more: what each would have at least if one of them were away.
fn roomy(steps: &[f64], least: usize) -> f64 {
    let index = if least == 0 { 0 } else { least + 1 };
    steps.get(index).copied().unwrap_or(1.0)
}

/// Shares under which no group has more than its cap, and all have 1 together; nothing where that cannot be.
fn held(members: &[Member<'_>], caps: (f64, f64)) -> Option<Vec<f64>> {
    let mut shares: Vec<f64> = members.iter().map(|member| member.uncapped).collect();
    for _ in 0..ROUNDS_MAX {
        for (group, sum) in sums(members, &shares) {
            let cap = cap_of(&group, caps);
            if sum > cap {
                for (member, share) in members.iter().zip(&mut shares) {
                    if member.groups.contains(&group) {
                        *share *= cap / sum;
                    }
                }
            }
        }
        let missing = 1.0 - shares.iter().sum::<f64>();
        if missing < TINY {
            return Some(shares);
        }
        let sums = sums(members, &shares);
        let is_free = |member: &&Member<'_>| {
            member
                .groups
                .iter()
                .all(|group| sums[group] < cap_of(group, caps) - TINY)
        };
        let free: f64 = members
            .iter()
            .filter(is_free)
            .map(|member| member.uncapped)
            .sum();
        if free <= 0.0 {
            return None;
        }
        for (member, share) in members.iter().zip(&mut shares) {
            if is_free(&member) {
                *share += missing * member.uncapped / free;
            }
        }
    }
    None
}

fn sums(members: &[Member<'_>], shares: &[f64]) -> BTreeMap<Group, f64> {
    let mut sums = BTreeMap::new();
    for (member, share) in members.iter().zip(shares) {
        for group in &member.groups {
            *sums.entry(group.clone()).or_insert(0.0) += share;
        }
    }
    sums
}

const fn cap_of(group: &Group, (operator, network): (f64, f64)) -> f64 {
    match group {
        Group::Operator(_) => operator,
        Group::Network(_) => network,
    }
}

fn told(members: &[Member<'_>], shares: &[f64], caps: (f64, f64)) -> Weights {
    let sums = sums(members, shares);
    let full = |group: &&Group| sums[*group] >= cap_of(group, caps) - TINY;
    let of = members.iter().zip(shares).map(|(member, &share)| {
        let weight = Weight {
            share,
            uncapped: member.uncapped,
            held_by: (share < member.uncapped - TINY)
                .then(|| member.groups.iter().find(full).cloned())
                .flatten(),
        };
        (member.id.clone(), weight)
    });
    Weights {
        of: of.collect(),
        operator_share_max: caps.0,
        network_share_max: caps.1,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a registry has some thousand endpoints"
)]
const fn count(members: usize) -> f64 {
    members as f64
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(name) => write!(f, "the operator {name}"),
            Self::Network(number) => write!(f, "the network AS{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Shares of members, each an operator's number, a network's, and a health.
    fn of(members: &[(u8, Option<u8>, f64)]) -> Weights {
        let ids: Vec<EndpointId> = (0..members.len())
            .map(|index| EndpointId::try_from(format!("m-{index:03}")).unwrap())
            .collect();
        let total: f64 = members.iter().map(|(.., health)| health).sum();
        let members: Vec<Member<'_>> = members
            .iter()
            .zip(&ids)
            .map(|((operator, network, health), id)| Member {
                id,
                groups: std::iter::once(Group::Operator(operator.to_string()))
                    .chain(network.map(|number| Group::Network(number.into())))
                    .collect(),
                uncapped: health / total,
            })
            .collect();
        capped(&members, &Policy::default())
    }

    fn shares(weights: &Weights) -> Vec<f64> {
        weights
            .of
            .values()
            .map(|weight| (weight.share * 1000.0).round() / 1000.0)
            .collect()
    }

    #[test]
    fn nobody_has_more_than_a_quarter_where_that_can_be() {
        assert_eq!(
            shares(&of(&[
                (1, None, 80.0),
                (2, None, 80.0),
                (3, None, 80.0),
                (4, None, 80.0)
            ])),
            [0.25; 4]
        );
        let one_has_three = of(&[
            (1, None, 90.0),
            (1, None, 90.0),
            (1, None, 90.0),
            (2, None, 90.0),
            (3, None, 90.0),
            (4, None, 90.0),
        ]);
        assert_eq!(
            shares(&one_has_three),
            [0.083, 0.083, 0.083, 0.25, 0.25, 0.25]
        );
        assert_eq!(
            one_has_three.of.values().next().unwrap().held_by,
            Some(Group::Operator("1".to_owned()))
        );
        let one_network = of(&[
            (1, Some(7), 90.0),
            (2, Some(7), 90.0),
            (3, Some(8), 90.0),
            (4, Some(9), 90.0),
            (5, None, 90.0),
        ]);
        assert_eq!(shares(&one_network), [0.125, 0.125, 0.25, 0.25, 0.25]);
        assert_eq!(
            one_network.of.values().next().unwrap().held_by,
            Some(Group::Network(7))
        );
    }

    #[test]
    fn where_there_are_too_few_the_cap_is_loosened_and_told() {
        let two = of(&[(1, None, 90.0), (2, None, 10.0)]);
        assert_eq!(
            (shares(&two), two.operator_share_max),
            (vec![0.9, 0.1], 1.0)
        );
        let three = of(&[(1, None, 90.0), (2, None, 20.0), (3, None, 10.0)]);
        assert_eq!(
            (shares(&three), three.operator_share_max),
            (vec![0.5, 0.333, 0.167], 0.5)
        );
        let like = of(&[(1, None, 90.0), (2, None, 80.0), (3, None, 70.0)]);
        assert_eq!(shares(&like), [0.375, 0.333, 0.292]);
        assert_eq!(shares(&of(&[(1, None, 90.0)])), [1.0]);
        assert_eq!(shares(&of(&[])), [] as [f64; 0]);
    }

    proptest! {
        #[test]
        fn whoever_is_healthier_has_no_smaller_share_and_among_few_a_larger_one(
            healths in proptest::collection::vec(1.0_f64..100.0, 1..10),
        ) {
            let members: Vec<(u8, Option<u8>, f64)> = (0_u8..).zip(&healths).map(|(number, health)| (number, None, *health)).collect();
            let weights = of(&members);
            let shares: Vec<f64> = weights.of.values().map(|weight| weight.share).collect();
            for (one, health) in shares.iter().zip(&healths) {
                for (other, lower) in shares.iter().zip(&healths).filter(|(_, lower)| *lower < health) {
                    prop_assert!(*one >= other - 1e-6, "{health}: {one}, {lower}: {other}");
                    // With two or three, health decides, up to half of all.
                    if healths.len() < 4 && health - lower > 1.0 {
                        prop_assert!(one > other, "{health}: {one}, {lower}: {other}");
                    }
                }
            }
        }

        #[test]
        fn all_is_handed_out_and_no_cap_is_broken(
            members in proptest::collection::vec((0_u8..12, proptest::option::of(0_u8..9), 1.0_f64..100.0), 1..40),
        ) {
            let weights = of(&members);
            let total: f64 = weights.of.values().map(|weight| weight.share).sum();
            prop_assert!((total - 1.0).abs() < 1e-6, "{total}");
            let mut sums: BTreeMap<Group, f64> = BTreeMap::new();
            for ((operator, network, _), weight) in members.iter().zip(weights.of.values()) {
                prop_assert!(weight.share >= 0.0);
                *sums.entry(Group::Operator(operator.to_string())).or_default() += weight.share;
                if let Some(number) = network {
                    *sums.entry(Group::Network((*number).into())).or_default() += weight.share;
                }
            }
            for (group, sum) in sums {
                let cap = cap_of(&group, (weights.operator_share_max, weights.network_share_max));
                prop_assert!(sum <= cap + 1e-6, "{group}: {sum} of {cap}");
            }
            // With so many of both the wanted caps always hold, unless one network has every operator.
            let operators: std::collections::BTreeSet<u8> = members.iter().map(|(operator, ..)| *operator).collect();
            if operators.len() >= 4 && members.iter().all(|(_, network, _)| network.is_none()) {
                prop_assert!(weights.operator_share_max <= 0.25);
            }
        }
    }
}
