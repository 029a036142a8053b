//! Private files of the mirror's own, beside the notary's keys.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// A file among the keys, readable by its owner only. Where there is none it is made of what `make` gives; `None`
    /// where that is nothing. Two who make it at once must hold a lock.
    pub fn key_file(
        &self,
        name: &str,
        make: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.keys().join(name);
        match fs::read(&path) {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io("read", path, error)),
        }
        let Some(bytes) = make() else {
            return Ok(None);
        };
        let beside = self.keys().join(format!(".{name}.new"));
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(self.keys())?.sync_all()
        };
        write().map_err(|error| StoreError::io("write", &path, error))?;
        Ok(Some(bytes))
    }
}
