//! Fills an empty catalog with as many projects as there are, for measuring. The rows, the bodies and the counts are
//! those of commits; what is left out is everything that makes a commit survive a kill.

use heliostat_pypi::page::PageFile;
use rusqlite::{TransactionBehavior, params};

use super::read::Held;
use super::record_body::{Columns, size_to_sql};
use super::{Applier, Catalog, CatalogFault, set_up_writer};
use crate::error::StoreError;
use crate::record::{Part, ProjectRecord};

/// Memory for the tables while they are filled, in KiB: rows of files land all over their table, which therefore has to
/// fit.
const FILL_CACHE_KIB: i64 = 4 << 20;

/// What a `.metadata` document is taken to weigh.
const METADATA_BYTES: u64 = 3_000;

impl Applier<'_> {
    /// Writes a project that is not there yet, with every listed part on disk, as far as the catalog can tell.
    pub(crate) fn fill(&mut self, record: &ProjectRecord, body: &[u8]) -> Result<(), CatalogFault> {
        let (id, _) = self.put_record(&record.page.name, &Columns::of(record), body)?;
        for file in record.listed() {
            let held = all_of(file);
            self.transaction
                .prepare_cached("INSERT INTO file VALUES (?1, ?2, ?3, ?4, ?5, NULL, NULL)")?
                .execute(params![
                    file.path.id(),
                    file.filename(),
                    id,
                    held.file.map(size_to_sql),
                    held.metadata.map(size_to_sql),
                ])?;
            self.deltas.files_listed += 1;
            self.count_held(Held::default(), held);
        }
        Ok(())
    }
}

impl Catalog {
    /// Runs `work` in one writing transaction that nothing can undo and that is not durable.
    pub(crate) fn fill<T>(
        &self,
        work: impl FnOnce(&mut Applier<'_>) -> Result<T, CatalogFault>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer();
        // The log can be left out only while nobody else has the file open, and readers are kept for the next one.
        self.close_idle_readers();
        let filled = (|| {
            writer.pragma_update(None, "journal_mode", "off")?;
            writer.pragma_update(None, "synchronous", "off")?;
            writer.pragma_update(None, "cache_size", -FILL_CACHE_KIB)?;
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut applier = Applier::new(&transaction, 0, 0, &|_, _, _| true)?;
            let value = work(&mut applier)?;
            applier.finish()?;
            transaction.commit()?;
            set_up_writer(&mut writer)?;
            Ok(value)
        })();
        filled.map_err(|fault: CatalogFault| self.complete("fill", fault))
    }
}

fn all_of(file: &PageFile) -> Held {
    let mut held = Held::default();
    held.set(Part::File, Some(file.size_bytes.unwrap_or(0)));
    held.set(
        Part::Metadata,
        (!file.core_metadata.is_absent()).then_some(METADATA_BYTES),
    );
    held
}
