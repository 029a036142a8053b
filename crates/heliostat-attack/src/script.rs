//! How one mirror behaves: a good tree, and twists of it. A function of the request alone, so that every attack is a
//! value that can be printed, compared and run again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::{Answer, Ask, Body, Shared, honest};

/// Every file of a mirror, by its path relative to the tree.
pub(crate) type Tree = BTreeMap<String, Shared>;

/// A tree, and what is done to some of it. Of several twists that match a path the first one counts.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    tree: Arc<Tree>,
    twists: Vec<(Paths, Twist)>,
    /// What its `Date` says; without one it says none.
    date: Option<&'static str>,
    /// After a request for one of these paths it goes on with another script.
    then: Option<(Paths, Arc<Self>)>,
}

/// Which paths a twist is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Paths {
    /// This one.
    Exactly(String),
    /// All that begin so.
    Under(String),
    /// All that end so.
    EndingIn(String),
    /// Every path.
    All,
}

/// What is done to a file.
#[derive(Debug, Clone)]
pub(crate) enum Twist {
    /// Other bytes stand in its place, also where there was nothing.
    Replace(Shared),
    /// It is refused with this status.
    Refuse(u16),
    /// What stands at another path is sent.
    Swap(String),
    /// The byte in its middle is flipped.
    FlipByte,
    /// It never ends: its own bytes over and over, without a length.
    Endless,
    /// It is a small answer that a decoder blows up: zeros under gzip, said to be so.
    Bomb(Shared),
    /// One byte at a time.
    Drip,
    /// The head comes, and nothing after it.
    StallAtOnce,
    /// Half of it comes, and nothing after it.
    StallHalfWay,
    /// Half of it comes, and the connection ends.
    CutHalfWay,
    /// Half of it comes, the last byte of that flipped, and the connection ends.
    FlipAndCut,
    /// The connection ends without a word.
    Reset,
}

/// What an endless answer sends at the most: far more than any limit of ours, and no harm to the machine.
const ENDLESS_BYTES_MAX: u64 = 256 << 20;
/// Between two bytes of one that drips.
const DRIP_PAUSE: Duration = Duration::from_secs(1);
/// An endless answer is repeated in pieces of about this many bytes.
const ENDLESS_PIECE_BYTES: usize = 64 << 10;

impl Script {
    /// A mirror that does nothing wrong.
    pub(crate) const fn honest(tree: Arc<Tree>) -> Self {
        Self {
            tree,
            twists: Vec::new(),
            date: None,
            then: None,
        }
    }

    /// The same with one more twist.
    #[must_use]
    pub(crate) fn with(mut self, paths: Paths, twist: Twist) -> Self {
        self.twists.push((paths, twist));
        self
    }

    /// The same with this `Date` in every answer.
    #[must_use]
    pub(crate) const fn dated(mut self, date: &'static str) -> Self {
        self.date = Some(date);
        self
    }

    /// The same until one of these paths was asked for, and `next` from then on.
    #[must_use]
    pub(crate) fn then(mut self, paths: Paths, next: Self) -> Self {
        self.then = Some((paths, Arc::new(next)));
        self
    }

    /// Whether nothing is twisted.
    pub(crate) const fn is_honest(&self) -> bool {
        self.twists.is_empty()
    }

    /// What it goes on with after this request, if with anything else.
    pub(crate) fn after(&self, ask: &Ask) -> Option<Self> {
        let (paths, next) = self.then.as_ref()?;
        paths.hold(&ask.path).then(|| Self::clone(next))
    }

    /// What it says to a request.
    pub(crate) fn answer(&self, ask: &Ask) -> Answer {
        let file = self.tree.get(&ask.path);
        let twist = self.twists.iter().find(|(paths, _)| paths.hold(&ask.path));
        let mut answer = match twist {
            None => honest(file, ask),
            Some((_, twist)) => self.twisted(twist, file, ask),
        };
        let date = self.date.map(|date| ("Date", date.to_owned()));
        answer.fields.extend(date);
        answer
    }

    fn twisted(&self, twist: &Twist, file: Option<&Shared>, ask: &Ask) -> Answer {
        // What needs bytes to twist says 404 where there are none, as an honest mirror does.
        let with = |make: &dyn Fn(&Shared) -> Answer| file.map_or_else(|| honest(None, ask), make);
        let half = |bytes: &Shared| bytes.len() / 2;
        match twist {
            Twist::Replace(bytes) => honest(Some(bytes), ask),
            Twist::Refuse(status) => Answer::refusal(*status, "this mirror does not give it"),
            Twist::Swap(path) => honest(self.tree.get(path), ask),
            Twist::FlipByte => with(&|bytes| honest(Some(&flipped(bytes)), ask)),
            Twist::Endless => with(&|bytes| Answer::sent(endless(bytes))),
            Twist::Bomb(bytes) => {
                let mut answer = Answer::ok(Arc::clone(bytes));
                answer.fields.push(("Content-Encoding", "gzip".to_owned()));
                answer
            }
            Twist::Drip => with(&|bytes| {
                Answer::sent(Body::Drip {
                    bytes: Arc::clone(bytes),
                    pause: DRIP_PAUSE,
                })
            }),
            Twist::StallAtOnce => with(&|bytes| {
                Answer::sent(Body::Stall {
                    bytes: Arc::clone(bytes),
                    sent_bytes: 0,
                })
            }),
            Twist::StallHalfWay => with(&|bytes| {
                Answer::sent(Body::Stall {
                    bytes: Arc::clone(bytes),
                    sent_bytes: half(bytes),
                })
            }),
            Twist::CutHalfWay => with(&|bytes| {
                Answer::sent(Body::Cut {
                    bytes: Arc::clone(bytes),
                    sent_bytes: half(bytes),
                })
            }),
            Twist::FlipAndCut => with(&|bytes| {
                Answer::sent(Body::Cut {
                    bytes: flipped(bytes),
                    sent_bytes: half(bytes) + 1,
                })
            }),
            Twist::Reset => Answer::sent(Body::Reset),
        }
    }
}

impl Paths {
    fn hold(&self, path: &str) -> bool {
        match self {
            Self::Exactly(exact) => path == exact,
            Self::Under(prefix) => path.starts_with(prefix.as_str()),
            Self::EndingIn(suffix) => path.ends_with(suffix.as_str()),
            Self::All => true,
        }
    }
}

/// The same length, one byte other.
pub(crate) fn flipped(bytes: &Shared) -> Shared {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    Shared::from(bytes)
}

fn endless(bytes: &Shared) -> Body {
    let mut chunk = Vec::with_capacity(ENDLESS_PIECE_BYTES + bytes.len());
    while chunk.len() < ENDLESS_PIECE_BYTES {
        chunk.extend_from_slice(if bytes.is_empty() { b" " } else { bytes });
    }
    Body::Endless {
        chunk: Shared::from(chunk),
        size_bytes_max: ENDLESS_BYTES_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Method;

    fn tree() -> Arc<Tree> {
        let files = [("a/one", "first"), ("a/two", "second"), ("b", "third")];
        Arc::new(
            files
                .map(|(path, text)| (path.to_owned(), Shared::from(text.as_bytes())))
                .into(),
        )
    }

    fn ask(path: &str) -> Ask {
        Ask {
            method: Method::Get,
            path: path.to_owned(),
            range_start: None,
        }
    }

    fn text(script: &Script, path: &str) -> (u16, String) {
        let answer = script.answer(&ask(path));
        match answer.body {
            Body::Whole(bytes) => (answer.status, String::from_utf8_lossy(&bytes).into_owned()),
            other => panic!("not whole: {other:?}"),
        }
    }

    #[test]
    fn twists_touch_their_paths_only() {
        let script = Script::honest(tree())
            .with(
                Paths::Exactly("a/one".to_owned()),
                Twist::Swap("b".to_owned()),
            )
            .with(Paths::Under("a/".to_owned()), Twist::FlipByte);
        assert_eq!(text(&script, "a/one"), (200, "third".to_owned()));
        assert_eq!(text(&script, "a/two"), (200, "secnnd".to_owned()));
        assert_eq!(text(&script, "b"), (200, "third".to_owned()));
        assert_eq!(script.answer(&ask("c")).status, 404);
    }

    #[test]
    fn a_script_may_go_on_with_another_one() {
        let next = Script::honest(tree()).with(Paths::All, Twist::Refuse(410));
        let script = Script::honest(tree()).then(Paths::Exactly("b".to_owned()), next);
        assert!(script.after(&ask("a/one")).is_none());
        let next = script.after(&ask("b")).expect("it goes on");
        assert_eq!(
            (
                script.answer(&ask("b")).status,
                next.answer(&ask("b")).status
            ),
            (200, 410)
        );
    }

    #[test]
    fn what_seems_endless_has_an_end() {
        let script = Script::honest(tree()).with(Paths::All, Twist::Endless);
        let Body::Endless {
            chunk,
            size_bytes_max,
        } = script.answer(&ask("b")).body
        else {
            panic!("not endless");
        };
        assert!(chunk.len() >= ENDLESS_PIECE_BYTES);
        assert_eq!(size_bytes_max, ENDLESS_BYTES_MAX);
    }
}
