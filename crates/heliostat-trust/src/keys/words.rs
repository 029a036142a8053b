//! A digest as words that can be read aloud over a telephone.
//!
//! Eight words of five letters, 16 bits each: consonant, vowel, consonant, vowel, consonant. 128 bits in all, as much
//! as it takes so that nobody finds another key or draft with the same words.

use std::fmt;

use heliostat_pypi::Sha256;

const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
const VOWELS: &[u8; 4] = b"aiou";
const WORDS: usize = 8;

/// The first 128 bits of a digest as eight words, joined by hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words([u16; WORDS]);

impl Words {
    /// Of a digest: a key's id, or a file's.
    pub fn of(digest: Sha256) -> Self {
        let mut words = [0; WORDS];
        for (word, pair) in words.iter_mut().zip(digest.as_bytes().chunks_exact(2)) {
            *word = u16::from_be_bytes([pair[0], pair[1]]);
        }
        Self(words)
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for (index, word) in self.0.into_iter().enumerate() {
            if index > 0 {
                f.write_char('-')?;
            }
            let consonant = |shift: u32| char::from(CONSONANTS[usize::from(word >> shift & 0xf)]);
            let vowel = |shift: u32| char::from(VOWELS[usize::from(word >> shift & 0x3)]);
            write!(
                f,
                "{}{}{}{}{}",
                consonant(12),
                vowel(10),
                consonant(6),
                vowel(4),
                consonant(0)
            )?;
        }
        Ok(())
    }
}
