//! The root list and PEP 381's stamp.

use heliostat_pypi::Serial;
use heliostat_pypi::page::{Format, render_list};

use crate::catalog::Root;
use crate::disk::Unsynced;
use crate::error::StoreError;
use crate::kill::kill_point;
use crate::layout::{self, RootKind};
use crate::pages::Pages;
use crate::read::ROOT_NOTE;
use crate::store::Store;

impl Store {
    /// Renders the root list from all projects and replaces it, then stamps the tree with the time. `serial` is what
    /// the list claims for the whole; `now` is in seconds since 1970.
    pub fn publish_root(&self, serial: Option<Serial>, now: i64) -> Result<(), StoreError> {
        let _guard = self.inner.commit_lock.hold()?;
        drop(self.redo()?);
        self.render_root(serial, now)
    }

    /// Renders the root list again where projects came or went since; tells whether they did. What it claims stands:
    /// the serial and the stamp are those of the last [`Store::publish_root`]. `now` is in seconds since 1970.
    pub fn refresh_root(&self, now: i64) -> Result<bool, StoreError> {
        let _guard = self.inner.commit_lock.hold()?;
        drop(self.redo()?);
        if !self.is_root_behind()? {
            return Ok(false);
        }
        let (serial, published_at) = match self.root()? {
            Some(root) => (root.serial, root.published_at),
            None => (None, now),
        };
        self.render_root(serial, published_at)?;
        Ok(true)
    }

    /// The root list as the tree should have it.
    pub fn root_document(&self, kind: RootKind) -> Result<Vec<u8>, StoreError> {
        let serial = self.root()?.and_then(|root| root.serial);
        let states = self.inner.catalog.project_states()?;
        let format = match kind {
            RootKind::Json => Format::Json,
            RootKind::Html => Format::Html,
        };
        let projects = states
            .iter()
            .map(|state| (&state.name, state.published_serial));
        Ok(render_list(projects, serial, format))
    }

    /// Whether the root list would look different if it were rendered now.
    pub fn is_root_behind(&self) -> Result<bool, StoreError> {
        Ok(self.inner.catalog.counter("list_generation")?
            != self.inner.catalog.counter("root_generation")?)
    }

    /// Stamps the tree with the time of a sync that found nothing to publish (PEP 381): it is as fresh as that.
    pub fn stamp(&self, now: i64) -> Result<(), StoreError> {
        let _guard = self.inner.commit_lock.hold()?;
        let mut unsynced = Unsynced::default();
        Pages::new(&self.inner.layout, &self.inner.incoming).replace(
            layout::LAST_MODIFIED,
            stamp(now).as_bytes(),
            &mut unsynced,
        )?;
        unsynced.sync(&self.inner.web)
    }

    /// The same for who holds the commit lock already.
    pub(crate) fn render_root(&self, serial: Option<Serial>, now: i64) -> Result<(), StoreError> {
        let inner = &self.inner;
        let list_generation = inner.catalog.counter("list_generation")?;
        let states = inner.catalog.project_states()?;
        let pages = Pages::new(&inner.layout, &inner.incoming);
        let projects = || {
            states
                .iter()
                .map(|state| (&state.name, state.published_serial))
        };
        let mut unsynced = Unsynced::default();
        let json = render_list(projects(), serial, Format::Json);
        pages.replace(layout::root(RootKind::Json), &json, &mut unsynced)?;
        drop(json);
        kill_point("root-json");
        let html = render_list(projects(), serial, Format::Html);
        pages.replace_with_copy(
            layout::root(RootKind::Html),
            layout::ROOT_INDEX,
            &html,
            &mut unsynced,
        )?;
        drop(html);
        kill_point("root-html");
        unsynced.sync(&inner.web)?;
        let mut unsynced = Unsynced::default();
        pages.replace(layout::LAST_MODIFIED, stamp(now).as_bytes(), &mut unsynced)?;
        unsynced.sync(&inner.web)?;
        kill_point("root-stamped");
        let root = Root {
            serial,
            published_at: now,
        };
        let note = serde_json::to_string(&root).map_err(|error| StoreError::RecordDamaged {
            project: "(the root list)".to_owned(),
            source: error.into(),
        })?;
        inner.catalog.note_root(list_generation, ROOT_NOTE, &note)?;
        kill_point("root-recorded");
        Ok(())
    }
}

/// PEP 381's stamp as bandersnatch writes it and mirror checkers read it: `20260801T12:34:56`, UTC, and a line end.
fn stamp(now: i64) -> String {
    let time = jiff::Timestamp::from_second(now).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{}\n", time.strftime("%Y%m%dT%H:%M:%S"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_stamp_is_what_mirror_checkers_read() {
        assert_eq!(super::stamp(1_785_587_696), "20260801T12:34:56\n");
    }
}
