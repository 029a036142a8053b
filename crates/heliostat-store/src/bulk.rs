//! Fills the catalog without a tree beside it, so that it can be measured at a size whose pages alone would take hours
//! to write. Never in what is handed to others: such a store claims to hold what it does not.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::catalog::{BodyEncoder, CatalogFault, SignedAs};
use crate::error::StoreError;
use crate::pages::{Copies, published, signed_as};
use crate::record::ProjectRecord;
use crate::store::Store;

/// Encoded records on their way to the catalog.
const QUEUE: usize = 512;

/// A project on its way to the catalog.
struct Encoded {
    record: ProjectRecord,
    body: Vec<u8>,
    /// Its page among the targets, where somebody signs.
    signed: Option<SignedAs>,
}

impl Store {
    /// Writes records of projects that are not there yet into the catalog, in one transaction, with rows that say that
    /// every listed file and its metadata are held, and, where somebody signs, with the targets that are to be signed.
    /// Afterwards the catalog is what as many commits would have left, but for the order of its pages on the disk. A
    /// kill on the way leaves it unusable.
    pub fn fill_catalog(
        &self,
        records: impl Iterator<Item = ProjectRecord> + Send,
    ) -> Result<(), StoreError> {
        let _guard = self.inner.commit_lock.hold()?;
        let copies = self.copies()?;
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(QUEUE);
            scope.spawn(move || encode(records, copies, &sender));
            self.inner.catalog.fill(|applier| {
                let receiver: Receiver<Result<Encoded, CatalogFault>> = receiver;
                for encoded in receiver {
                    let Encoded {
                        record,
                        body,
                        signed,
                    } = encoded?;
                    applier.fill(&record, &body)?;
                    if signed.is_some() {
                        applier.sign_as(&record.page.name, signed.as_ref())?;
                    }
                }
                Ok(())
            })
        })
    }
}

fn encode(
    records: impl Iterator<Item = ProjectRecord>,
    copies: Copies,
    queue: &SyncSender<Result<Encoded, CatalogFault>>,
) {
    let mut bodies = BodyEncoder::new();
    for record in records {
        let signed = (copies != Copies::None).then(|| signed_as(&published(&record)).0);
        let encoded = bodies.encode(&record).map(|body| Encoded {
            record,
            body,
            signed,
        });
        if queue.send(encoded).is_err() {
            return;
        }
    }
}
