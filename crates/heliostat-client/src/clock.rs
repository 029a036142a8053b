//! The clock as a value, so that everything below it can be tested at any time.

use std::fmt;
use std::sync::Arc;

/// Tells seconds since 1970.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// A clock that asks `source`.
    pub fn new(source: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
