//! Response bodies that can end well or badly.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep};

use super::log::Meter;

/// Time for what was sent to leave before a connection is broken. Only makes the outcome tidier: nothing depends on it.
const FLUSH_TIME: Duration = Duration::from_millis(15);
/// How often a paced body sends.
const PACE_INTERVAL: Duration = Duration::from_millis(25);

/// How a body ends once its data is sent.
#[derive(Debug, Clone)]
pub(super) enum Ending {
    /// As it should.
    Clean,
    /// The connection closes although more was promised.
    Abort,
    /// The connection is reset.
    Reset(Arc<Notify>),
    /// Nothing more comes.
    Stall,
    /// The data comes again and again.
    Repeat,
}

/// A body, its ending and its pace.
#[derive(Debug)]
pub(super) struct ReplyBody {
    data: Bytes,
    ending: Ending,
    bytes_per_second: Option<u32>,
    timer: Option<Pin<Box<Sleep>>>,
    broken: bool,
    meter: Meter,
}

/// A body that broke on purpose.
#[derive(Debug)]
pub(super) struct BrokenOnPurpose;

impl std::fmt::Display for BrokenOnPurpose {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("this body was broken on purpose")
    }
}

impl std::error::Error for BrokenOnPurpose {}

impl ReplyBody {
    pub(super) fn new(
        data: Bytes,
        ending: Ending,
        bytes_per_second: Option<u32>,
        meter: Meter,
    ) -> Self {
        Self {
            data,
            ending,
            bytes_per_second,
            timer: None,
            broken: false,
            meter,
        }
    }

    /// The next piece of the data; sets the timer where the body is paced.
    fn next_piece(&mut self) -> Bytes {
        let length = match self.bytes_per_second {
            None => self.data.len(),
            Some(rate) => {
                self.timer = Some(Box::pin(sleep(PACE_INTERVAL)));
                (rate / 40).max(1) as usize
            }
        };
        let piece = if matches!(self.ending, Ending::Repeat) {
            self.data.clone()
        } else {
            self.data.split_to(length.min(self.data.len()))
        };
        self.meter.sent(piece.len());
        piece
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BrokenOnPurpose;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOnPurpose>>> {
        loop {
            if let Some(timer) = &mut self.timer {
                if timer.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.timer = None;
            }
            if !self.data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(self.next_piece()))));
            }
            match &self.ending {
                Ending::Clean | Ending::Repeat => return Poll::Ready(None),
                Ending::Stall => return Poll::Pending,
                Ending::Abort if self.broken => return Poll::Ready(Some(Err(BrokenOnPurpose))),
                Ending::Reset(notify) if self.broken => {
                    notify.notify_one();
                    return Poll::Pending;
                }
                Ending::Abort | Ending::Reset(_) => {
                    self.broken = true;
                    self.timer = Some(Box::pin(sleep(FLUSH_TIME)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.ending, Ending::Clean) && self.data.is_empty() && self.timer.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
