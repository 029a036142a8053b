//! The steps, each run in a process of its own, so that its memory is its own.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use heliostat_engine::sync::{Listed, Plan, PlanInput, WishesSince, plan};
use heliostat_pypi::Serial;
use heliostat_pypi::page::{MediaType, read_list};
use heliostat_pypi::select::Selection;
use heliostat_store::{
    Admission, Change, CommitPolicy, Expected, Part, ProjectRecord, ProjectState, Put, RootKind,
    Store,
};

use crate::report::{catalog_bytes, megabytes, memory_peak, processor_time, row, seconds, timed};
use crate::world::{self, CHANGED_ONE_IN, World};
use crate::{Fault, Size};

/// Changed projects that are committed, and how many at once: as many as a sync does.
const CHANGES: usize = 1_000;
const BATCH: usize = 125;
/// The first round makes the directories of pages that were never written; the others are measured.
const ROUNDS: u32 = 4;
const NOW: i64 = 1_795_000_000;

/// Fills the catalog, and writes the list that the upstream will show next.
pub(crate) fn fill(size: &Size) -> Result<(), Fault> {
    let store = Store::open(&size.data)?;
    // Where something real is installed from, that is there already.
    let before = store.totals()?;
    let world = World::new(size.projects, size.files);
    let mut broken = None;
    let records = world
        .records()
        .map_while(|record| record.map_err(|fault| broken = Some(fault)).ok());
    let (filled, time) = timed(|| store.fill_catalog(records));
    filled?;
    if let Some(fault) = broken {
        return Err(fault);
    }
    let totals = store.totals()?;
    let (projects, files) = (
        totals.projects - before.projects,
        totals.files_held - before.files_held,
    );
    if projects != u64::from(size.projects) || files != u64::from(size.files) {
        return Err(format!("the catalog holds something else: {totals:?}").into());
    }
    let rate = f64::from(size.files) / time.as_secs_f64();
    row(
        &format!("fill: {} projects, {} files", size.projects, size.files),
        &format!("{} ({rate:.0} files a second)", seconds(time)),
        "",
    );
    let bytes = catalog_bytes(&size.data)?;
    row("catalog", &megabytes(bytes), "8,000 MB");
    fs::write(size.list(), world.list()?)?;
    Ok(())
}

/// Plans against a list of which one project in a hundred changed, and against an empty catalog.
pub(crate) fn plan_all(size: &Size) -> Result<(), Fault> {
    let body = fs::read(size.list())?;
    let body_bytes = body.len() as u64;
    let store = Store::open(&size.data)?;
    let before = memory_peak()?;
    let (held, reading) = timed(|| store.project_states());
    let held = held?;
    row(
        "memory before, with the list's bytes",
        &megabytes(before),
        "",
    );
    row("the narrow rows of all projects", &seconds(reading), "");
    let (list, parsing) = timed(|| read_list(&body, MediaType::Json));
    let list = list?;
    row(
        &format!("root list of {} read", megabytes(body_bytes)),
        &seconds(parsing),
        "",
    );
    let listed = Listed::Projects(list.projects);
    let (made, planning) = timed(|| make_plan(&listed, &held));
    check(
        &made,
        size,
        (u64::from(size.projects) - 7).div_ceil(CHANGED_ONE_IN),
    )?;
    row(
        &format!("plan: {} changed, {} kept", made.refresh.len(), made.keep),
        &seconds(planning),
        "",
    );
    row("all three", &seconds(reading + parsing + planning), "3 s");
    row(
        "memory while planning, with the list's bytes",
        &megabytes(memory_peak()?),
        "500 MB",
    );
    drop((made, held));
    let (made, planning) = timed(|| make_plan(&listed, &[]));
    check(&made, size, size.projects.into())?;
    row(
        &format!("plan of a first sync: {} new", made.refresh.len()),
        &seconds(planning),
        "3 s",
    );
    row(
        "memory while planning that",
        &megabytes(memory_peak()?),
        "500 MB",
    );
    Ok(())
}

/// Renders the root list, and does so again after a change.
pub(crate) fn root(size: &Size) -> Result<(), Fault> {
    let store = Store::open(&size.data)?;
    let (rendered, time) = timed(|| store.root_document(RootKind::Json));
    row(
        &format!(
            "root list rendered: JSON of {}",
            megabytes(rendered?.len() as u64)
        ),
        &seconds(time),
        "2 s",
    );
    let (published, first) = timed(|| store.publish_root(Some(Serial(1)), NOW));
    published?;
    // Another length, so that nothing can be left alone.
    let (published, again) = timed(|| store.publish_root(Some(Serial(99_000_000)), NOW));
    published?;
    row(
        "root list published in JSON and HTML, on the disk",
        &seconds(first),
        "2 s",
    );
    row("the same again", &seconds(again), "2 s");
    row(
        "memory while doing that",
        &megabytes(memory_peak()?),
        "500 MB",
    );
    Ok(())
}

/// Commits projects with one new file each.
pub(crate) fn change(size: &Size) -> Result<(), Fault> {
    let store = Store::open(&size.data)?;
    let chosen = World::new(size.projects, size.files).ordinary(CHANGES);
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let before = processor_time()?;
        let (outcome, wall) = timed(|| change_all(&store, &chosen, round));
        outcome?;
        let processor = processor_time()?.saturating_sub(before);
        if round > 0 {
            times.push((wall, processor));
        }
    }
    let each = |time: Option<Duration>| {
        let count = u32::try_from(chosen.len()).unwrap_or(1).max(1);
        format!(
            "{:.3} ms",
            time.unwrap_or_default().as_secs_f64() * 1000.0 / f64::from(count)
        )
    };
    let wall = each(times.iter().map(|time| time.0).min());
    let processor = each(times.iter().map(|time| time.1).min());
    row(
        &format!(
            "a changed project among {} (best of {} rounds)",
            size.projects,
            times.len()
        ),
        &format!("{wall}, {processor} of processor time"),
        "does not grow",
    );
    row(
        "memory while doing that",
        &megabytes(memory_peak()?),
        "500 MB",
    );
    Ok(())
}

fn change_all(store: &Store, chosen: &[u32], round: u32) -> Result<(), Fault> {
    for batch in chosen.chunks(BATCH) {
        let changes = batch.iter().map(|index| changed(store, *index, round));
        let changes = changes.collect::<Result<Vec<Change>, Fault>>()?;
        let committed = store.commit(changes, &CommitPolicy::at(NOW))?;
        if let Some(refusal) = committed.refused.into_iter().next() {
            return Err(refusal.error.into());
        }
    }
    Ok(())
}

/// A project with one more file, as a change.
pub(crate) fn changed(store: &Store, index: u32, round: u32) -> Result<Change, Fault> {
    let name = world::name(index)?;
    let mut record: ProjectRecord = store.project(&name)?.ok_or("a project is missing")?;
    let bytes = format!("{name} {round}").into_bytes();
    let file = world::new_file(&name, round, &bytes)?;
    let expected = Expected {
        sha256: file.sha256,
        size_bytes: file.size_bytes,
    };
    let blob = store.blob_from_bytes(&bytes, &expected)?;
    let blobs = vec![Admission {
        path: file.path.clone(),
        part: Part::File,
        blob,
    }];
    record.page.files.push(file);
    record.page.versions.push(format!("99.{round}"));
    let serial = record.published_serial.map(|serial| Serial(serial.0 + 1));
    record.page.serial = serial;
    record.published_serial = serial;
    Ok(Change::Put(Box::new(Put {
        record,
        blobs,
        failures: Vec::new(),
    })))
}

fn make_plan(listed: &Listed, held: &[ProjectState]) -> Plan {
    plan(&PlanInput {
        listed,
        selection: &Selection::everything(),
        held,
        ledger: &[],
        damaged: &BTreeSet::new(),
        wishes: WishesSince::Same,
        now: NOW,
    })
}

fn check(plan: &Plan, size: &Size, refresh: u64) -> Result<(), Fault> {
    let is_right = plan.refresh.len() as u64 == refresh
        && plan.keep == u64::from(size.projects) - refresh
        && plan.drop.is_empty();
    if is_right {
        Ok(())
    } else {
        Err(format!("the plan refreshes {} of {refresh}", plan.refresh.len()).into())
    }
}
