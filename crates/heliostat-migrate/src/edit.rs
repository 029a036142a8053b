//! Edits: spans of a file's bytes and what stands there instead. Owns applying them; every other byte stays.

use std::ops::Range;

/// One span and what replaces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that go.
    pub span: Range<usize>,
    /// The bytes that come.
    pub new: Vec<u8>,
}

impl Edit {
    fn key(&self) -> (usize, usize) {
        (self.span.start, self.span.end)
    }
}

/// Puts edits in order and joins deletions that touch or overlap; drops an edit inside of a deletion.
pub fn settle(mut edits: Vec<Edit>) -> Vec<Edit> {
    edits.sort_by_key(Edit::key);
    edits.dedup();
    let mut settled: Vec<Edit> = Vec::with_capacity(edits.len());
    for edit in edits {
        match settled.last_mut() {
            Some(last) if edit.span.start < last.span.end => {
                if last.new.is_empty() {
                    last.span.end = last.span.end.max(edit.span.end);
                } else if edit.new.is_empty() && edit.span.end >= last.span.end {
                    *last = Edit {
                        span: last.span.start.min(edit.span.start)..edit.span.end,
                        new: Vec::new(),
                    };
                }
            }
            _ => settled.push(edit),
        }
    }
    settled
}

/// The bytes after the edits, which are settled.
pub fn apply(bytes: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 64);
    let mut at = 0;
    for edit in edits {
        out.extend_from_slice(&bytes[at..edit.span.start]);
        out.extend_from_slice(&edit.new);
        at = edit.span.end;
    }
    out.extend_from_slice(&bytes[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(span: Range<usize>, new: &str) -> Edit {
        Edit {
            span,
            new: new.into(),
        }
    }

    #[test]
    fn edits_are_put_in_order_and_a_deletion_swallows_what_is_in_it() {
        let edits = settle(vec![
            edit(6..8, "XY"),
            edit(0..3, ""),
            edit(1..2, "n"),
            edit(2..4, ""),
        ]);
        assert_eq!(edits, [edit(0..4, ""), edit(6..8, "XY")]);
        assert_eq!(apply(b"0123456789", &edits), b"45XY89");
    }
}
