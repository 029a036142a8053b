//! What makes a request conditional, between the two crates that do not know each other: the upstream, which sends it,
//! and the store, which remembers it. Pure.

use heliostat_store::ProjectRecord;
use heliostat_upstream::Validators;

/// What the record remembers, for the next request.
pub(crate) fn of(record: &ProjectRecord) -> Validators {
    Validators {
        etag: record.validators.etag.clone(),
        last_modified: record.validators.last_modified.clone(),
    }
}

/// What an answer came with, for a record to remember.
pub(crate) fn remembered(validators: Validators) -> heliostat_store::Validators {
    heliostat_store::Validators {
        etag: validators.etag,
        last_modified: validators.last_modified,
    }
}
