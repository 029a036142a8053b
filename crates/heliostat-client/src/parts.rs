//! Which part of a file came from whom, and whose turns out wrong once the whole file is there. Pure.
//!
//! A file that is gone on with elsewhere after a break may be wrong in either part. Each part's digest is kept, and
//! compared with that of the same bytes of the right file, when that has come from one mirror alone.

use std::ops::Range;

use heliostat_pypi::Sha256;
use sha2::Digest as _;

use crate::mirrors::MirrorId;

/// Parts that are kept apart; of more, nobody is told from whom the others came.
const PARTS_MAX: usize = 16;

/// Bytes that one mirror gave, without a gap.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Who.
    pub(crate) giver: MirrorId,
    /// Which.
    pub(crate) range: Range<u64>,
    /// Their digest.
    pub(crate) sha256: Sha256,
}

/// The parts of a file that is coming in, the first byte first.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    done: Vec<Part>,
    open: Option<Open>,
}

/// The part that grows.
#[derive(Debug)]
struct Open {
    giver: MirrorId,
    range: Range<u64>,
    /// None for the first part: the hash of the whole so far is its own.
    hasher: Option<sha2::Sha256>,
}

impl Parts {
    /// Takes note of bytes that follow on those before; `whole` is the hash of those before.
    pub(crate) fn take(&mut self, giver: MirrorId, bytes: &[u8], whole: &sha2::Sha256) {
        if self.open.as_ref().is_none_or(|open| open.giver != giver) {
            let at = self.open.as_ref().map_or(0, |open| open.range.end);
            self.close(whole);
            self.open = Some(Open {
                giver,
                range: at..at,
                hasher: (at > 0).then(sha2::Sha256::new),
            });
        }
        if let Some(open) = &mut self.open {
            open.range.end += bytes.len() as u64;
            if let Some(hasher) = &mut open.hasher {
                hasher.update(bytes);
            }
        }
    }

    /// Whether anybody else than this one gave a part.
    pub(crate) fn has_other_than(&self, giver: MirrorId) -> bool {
        let done = self.done.iter().map(|part| part.giver);
        let open = self.open.iter().map(|open| open.giver);
        done.chain(open).any(|other| other != giver)
    }

    /// Ends the last part, and gives all of them.
    pub(crate) fn end(&mut self, whole: &sha2::Sha256) -> Vec<Part> {
        self.close(whole);
        std::mem::take(&mut self.done)
    }

    fn close(&mut self, whole: &sha2::Sha256) {
        let Some(open) = self.open.take() else {
            return;
        };
        if self.done.len() < PARTS_MAX {
            let hasher = open.hasher.unwrap_or_else(|| whole.clone());
            self.done.push(Part {
                giver: open.giver,
                range: open.range,
                sha256: digest(hasher),
            });
        }
    }
}

/// Parts of a file that was wrong as a whole, and the same bytes of the one that is coming in.
#[derive(Debug, Default)]
pub(crate) struct Suspects(Vec<(Part, sha2::Sha256)>);

impl Suspects {
    /// From now on these as well. Nothing of the right file has come in yet.
    pub(crate) fn add(&mut self, parts: Vec<Part>) {
        self.begin_again();
        let room = PARTS_MAX.saturating_sub(self.0.len());
        let parts = parts.into_iter().take(room);
        self.0.extend(parts.map(|part| (part, sha2::Sha256::new())));
    }

    /// Whether there are any.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The parts alone, for the next time that the file is asked for.
    pub(crate) fn into_parts(self) -> Vec<Part> {
        self.0.into_iter().map(|(part, _)| part).collect()
    }

    /// Takes note of bytes of the file, in their order, without gaps.
    pub(crate) fn take(&mut self, bytes: &[u8], at: u64) {
        for (part, hasher) in &mut self.0 {
            let index = |byte: u64| {
                let offset = usize::try_from(byte.saturating_sub(at)).unwrap_or(usize::MAX);
                offset.min(bytes.len())
            };
            hasher.update(&bytes[index(part.range.start)..index(part.range.end)]);
        }
    }

    /// The file was not right, or not whole, and begins again.
    pub(crate) fn begin_again(&mut self) {
        for (_, hasher) in &mut self.0 {
            *hasher = sha2::Sha256::new();
        }
    }

    /// The file is right: the parts that are not in it, each with the digest of what is.
    pub(crate) fn wrong(self) -> impl Iterator<Item = (Part, Sha256)> {
        let compared = self.0.into_iter();
        compared
            .map(|(part, hasher)| (part, digest(hasher)))
            .filter(|(part, right)| part.sha256 != *right)
    }
}

fn digest(hasher: sha2::Sha256) -> Sha256 {
    Sha256::from_bytes(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A file that comes in as it is told, piece by piece.
    fn parts(bytes: &[u8], givers: &[(usize, usize)]) -> (Parts, sha2::Sha256) {
        let (mut parts, mut whole, mut at) = (Parts::default(), sha2::Sha256::new(), 0);
        for (giver, length) in givers {
            let piece = &bytes[at..bytes.len().min(at + length)];
            parts.take(MirrorId(*giver), piece, &whole);
            whole.update(piece);
            at += piece.len();
        }
        (parts, whole)
    }

    #[test]
    fn who_gave_other_bytes_is_told_and_nobody_else() {
        let right = b"0123456789abcdef";
        let mut wrong = *right;
        wrong[1] ^= 1;
        wrong[9] ^= 1;
        let (mut came, whole) = parts(&wrong, &[(7, 2), (7, 2), (8, 4), (9, 4), (8, 4)]);
        assert!(came.has_other_than(MirrorId(7)));
        let mut suspects = Suspects::default();
        suspects.add(came.end(&whole));
        // The first attempt to have it again breaks off.
        suspects.take(&wrong[..6], 0);
        suspects.begin_again();
        let mut at = 0;
        for piece in right.chunks(3) {
            suspects.take(piece, at);
            at += piece.len() as u64;
        }
        let found: Vec<_> = suspects
            .wrong()
            .map(|(part, digest)| (part.giver, part.range, digest))
            .collect();
        let digest = |range: Range<usize>| Sha256::of(&right[range]);
        assert_eq!(
            found,
            [
                (MirrorId(7), 0..4, digest(0..4)),
                (MirrorId(9), 8..12, digest(8..12))
            ]
        );
        let (alone, _) = parts(right, &[(3, 5), (3, 11)]);
        assert!(!alone.has_other_than(MirrorId(3)));
    }

    proptest! {
        #[test]
        fn the_right_bytes_are_nobodys_lie(
            bytes in proptest::collection::vec(any::<u8>(), 1..200),
            givers in proptest::collection::vec((0_usize..3, 0_usize..40), 0..20),
            piece in 1_usize..50,
        ) {
            let (mut came, whole) = parts(&bytes, &givers);
            let mut suspects = Suspects::default();
            suspects.add(came.end(&whole));
            for (index, bytes) in bytes.chunks(piece).enumerate() {
                suspects.take(bytes, (index * piece) as u64);
            }
            prop_assert_eq!(suspects.wrong().count(), 0);
        }
    }
}
