//! Fills the catalog without a tree beside it, so that it can be measured at a size whose pages alone would take hours
//! to write. Never in what is handed to others: such a store claims to hold what it does not.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::catalog::{CatalogFault, encode_body};
use crate::error::StoreError;
use crate::record::ProjectRecord;
use crate::store::Store;

/// Encoded records on their way to the catalog.
const QUEUE: usize = 512;

type Encoded = Result<(ProjectRecord, Vec<u8>), CatalogFault>;

impl Store {
    /// Writes records of projects that are not there yet into the catalog, in one transaction, with rows that say that
    /// every listed file and its metadata are held. Afterwards the catalog is what as many commits would have left,
    /// but for the order of its pages on the disk. A kill on the way leaves it unusable.
    pub fn fill_catalog(
        &self,
        records: impl Iterator<Item = ProjectRecord> + Send,
    ) -> Result<(), StoreError> {
        let _guard = self.inner.commit_lock.hold()?;
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(QUEUE);
            scope.spawn(move || encode(records, &sender));
            self.inner.catalog.fill(|applier| {
                let receiver: Receiver<Encoded> = receiver;
                for encoded in receiver {
                    let (record, body) = encoded?;
                    applier.fill(&record, &body)?;
                }
                Ok(())
            })
        })
    }
}

fn encode(records: impl Iterator<Item = ProjectRecord>, queue: &SyncSender<Encoded>) {
    for record in records {
        let encoded = encode_body(&record).map(|body| (record, body));
        if queue.send(encoded).is_err() {
            return;
        }
    }
}
