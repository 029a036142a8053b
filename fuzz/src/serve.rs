//! What the fuzz targets of `heliostat-serve` do with their bytes. The tests of that crate include this file to replay
//! the corpora; here, the files that it names stand beside it.

use crate::conditional::Validators;
use crate::range::{Selection, select};

/// A target with the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: &[Target] = &[("range", range)];

/// The size of a file, `Range` and perhaps `If-Range`, each on a line: a part lies within the file.
pub fn range(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let mut lines = text.lines();
    let size_bytes = lines.next().and_then(|line| line.parse().ok()).unwrap_or(0);
    let (range, if_range) = (lines.next(), lines.next());
    let validators = Validators {
        etag: "\"e\"",
        last_modified: Some(std::time::UNIX_EPOCH + std::time::Duration::from_secs(784_111_777)),
    };
    match select(range, if_range, &validators, size_bytes) {
        Selection::Whole => {}
        Selection::Unsatisfiable => assert!(range.is_some()),
        Selection::Part(span) => {
            assert!(span.first <= span.last && span.last < size_bytes);
            assert!(1 <= span.size_bytes() && span.size_bytes() <= size_bytes);
        }
    }
}
