//! Random sequences of commits against a model that fits in a few lines.

use std::collections::{BTreeMap, BTreeSet};

use heliostat_store::{Blobs, Change, CommitPolicy, Keeper, Part, Put, Store, Validators};
use proptest::prelude::*;

use crate::world::*;

const PROJECTS: [&str; 3] = ["alpha", "beta", "gamma"];

#[derive(Debug, Clone)]
enum Step {
    Put {
        project: usize,
        keeper: Keeper,
        releases: BTreeSet<u32>,
        hidden: BTreeSet<u32>,
    },
    Take {
        project: usize,
        release: u32,
    },
    Evict {
        project: usize,
        release: u32,
    },
    Touch {
        project: usize,
    },
    Drop {
        project: usize,
    },
    Reopen,
}

/// What a project must look like: its keeper, what its page lists, and what is held of that.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Model {
    keeper: Keeper,
    listed: BTreeSet<u32>,
    held: BTreeSet<u32>,
}

fn step() -> impl Strategy<Value = Step> {
    let project = 0..PROJECTS.len();
    let releases = || prop::collection::btree_set(1..6_u32, 0..5);
    let keeper = prop_oneof![
        Just(Keeper::Mirror),
        Just(Keeper::OnDemand),
        Just(Keeper::PagesOnly)
    ];
    prop_oneof![
        4 => (project.clone(), keeper, releases(), releases())
            .prop_map(|(project, keeper, releases, hidden)| Step::Put { project, keeper, releases, hidden }),
        4 => (project.clone(), 1..6_u32).prop_map(|(project, release)| Step::Take { project, release }),
        2 => (project.clone(), 1..6_u32).prop_map(|(project, release)| Step::Evict { project, release }),
        1 => project.clone().prop_map(|project| Step::Touch { project }),
        1 => project.prop_map(|project| Step::Drop { project }),
        1 => Just(Step::Reopen),
    ]
}

fn change(
    store: &Store,
    model: &mut BTreeMap<usize, Model>,
    step: &Step,
    serial: u64,
) -> Option<Change> {
    match step {
        Step::Put {
            project,
            keeper: Keeper::OnDemand,
            ..
        } if (model.get(project)).is_some_and(|known| known.keeper.is_synced()) => None,
        Step::Put { .. } => Some(put(store, model, step, serial)),
        Step::Take { project, release } => {
            let known = model
                .get_mut(project)
                .filter(|model| model.listed.contains(release))?;
            known.held.insert(*release);
            let blobs = admissions(store, PROJECTS[*project], *release);
            Some(Change::Blobs(Blobs {
                project: name(PROJECTS[*project]),
                blobs,
                learned: vec![],
            }))
        }
        Step::Evict { project, release } => {
            let known = model
                .get_mut(project)
                .filter(|model| model.listed.contains(release))?;
            if known.keeper == Keeper::Mirror {
                return None;
            }
            known.held.remove(release);
            Some(Change::Evict {
                path: entry(PROJECTS[*project], *release).path,
            })
        }
        Step::Touch { project } => {
            model.get(project)?;
            let validators = Validators {
                etag: Some(serial.to_string()),
                last_modified: None,
            };
            Some(Change::Touch {
                name: name(PROJECTS[*project]),
                confirmed_at: NOW,
                validators,
            })
        }
        Step::Drop { project } => {
            model.remove(project);
            Some(Change::Drop {
                name: name(PROJECTS[*project]),
            })
        }
        Step::Reopen => None,
    }
}

fn put(store: &Store, model: &mut BTreeMap<usize, Model>, step: &Step, serial: u64) -> Change {
    let Step::Put {
        project,
        keeper,
        releases,
        hidden,
    } = step
    else {
        panic!("{step:?} is not a put")
    };
    let name = PROJECTS[*project];
    let listed: BTreeSet<u32> = releases - hidden;
    let mut held = model
        .get(project)
        .map(|model| &model.held & &listed)
        .unwrap_or_default();
    let list: Vec<u32> = releases.iter().copied().collect();
    let mut record = record(name, serial, &list, *keeper);
    record.hidden = hidden
        .iter()
        .map(|release| filename(name, *release))
        .collect();
    let mut blobs = Vec::new();
    if *keeper == Keeper::Mirror {
        blobs.extend(
            (&listed - &held)
                .iter()
                .flat_map(|release| admissions(store, name, *release)),
        );
        held.clone_from(&listed);
    }
    model.insert(
        *project,
        Model {
            keeper: *keeper,
            listed,
            held,
        },
    );
    Change::Put(Box::new(Put {
        record,
        blobs,
        failures: vec![],
    }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_commits_leaves_the_tree_the_catalog_and_the_model_agreed(
        steps in prop::collection::vec((step(), any::<bool>()), 1..20),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path()).unwrap();
        let mut model = BTreeMap::new();
        let mut before = model.clone();
        let mut batch = Vec::new();
        for (serial, (step, ends_batch)) in steps.into_iter().enumerate() {
            batch.extend(change(&store, &mut model, &step, serial as u64));
            if !ends_batch && !matches!(step, Step::Reopen) {
                continue;
            }
            let committed = store.commit(std::mem::take(&mut batch), &CommitPolicy::at(NOW)).unwrap();
            prop_assert!(committed.refused.is_empty(), "{:?}", committed.refused);
            if matches!(step, Step::Reopen) {
                drop(store);
                store = Store::open(directory.path()).unwrap();
                prop_assert!(store.recover(NOW).unwrap().is_clean());
            }
            assert_whole(&store);
            for (project, text) in PROJECTS.iter().enumerate() {
                let found = store.project(&name(text)).unwrap().map(|record| Model {
                    keeper: record.keeper,
                    listed: record.listed().map(|file| release_of(file.filename())).collect(),
                    held: store
                        .project_files(&name(text))
                        .unwrap()
                        .iter()
                        .filter(|row| row.held.contains(&Part::File))
                        .map(|row| release_of(row.path.filename()))
                        .collect(),
                });
                keep_what_stayed(&mut model, &before, project, found.as_ref());
                prop_assert_eq!(found.as_ref(), model.get(&project));
            }
            before.clone_from(&model);
        }
    }
}

/// A batch is one commit: a file that was held before it and is listed after it may stay on disk, whatever happened to
/// it in between, where the model, which goes step by step, let go of it.
fn keep_what_stayed(
    model: &mut BTreeMap<usize, Model>,
    before: &BTreeMap<usize, Model>,
    project: usize,
    found: Option<&Model>,
) {
    let (Some(model), Some(before), Some(found)) =
        (model.get_mut(&project), before.get(&project), found)
    else {
        return;
    };
    let may_stay = &(&before.held & &model.listed) & &found.held;
    model.held.extend(may_stay);
}

fn release_of(filename: &str) -> u32 {
    filename.split('-').nth(1).unwrap().parse().unwrap()
}
