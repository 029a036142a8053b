//! Does each thing once, however many wait for it. The work runs in a task of its own, so a waiting client that goes
//! away takes nothing from the others.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// Work under way, by key.
#[derive(Debug)]
pub struct Single<K, V> {
    table: Arc<Mutex<Table<K, V>>>,
}

#[derive(Debug)]
struct Table<K, V> {
    running: HashMap<K, watch::Receiver<Option<V>>>,
    moment: Moment,
}

/// A point between the ends of pieces of work: what somebody saw before work began is still so if it began at the
/// same moment. Work of other processes does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(u64);

impl<K, V> Default for Single<K, V> {
    fn default() -> Self {
        let table = Table {
            running: HashMap::new(),
            moment: Moment(0),
        };
        Self {
            table: Arc::new(Mutex::new(table)),
        }
    }
}

impl<K, V> Single<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Joins the work under way for `key`, or starts it. The work is given a way to tell its answer before it is done
    /// with what follows (committing). `None` when the work ended without an answer.
    pub async fn run<F>(
        &self,
        tasks: &TaskTracker,
        key: K,
        start: impl FnOnce(Answering<V>) -> F,
    ) -> Option<V>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut receiver = self.join(tasks, key, start);
        let answer = receiver.wait_for(Option::is_some).await.ok()?;
        answer.clone()
    }

    /// Now, to be compared with the moment at which work begins.
    pub fn moment(&self) -> Moment {
        lock(&self.table).moment
    }

    /// Waits until nothing is under way for `key`, what follows the answer included.
    pub async fn settle(&self, key: &K) {
        let receiver = lock(&self.table).running.get(key).cloned();
        if let Some(mut receiver) = receiver {
            while receiver.changed().await.is_ok() {}
        }
    }

    fn join<F>(
        &self,
        tasks: &TaskTracker,
        key: K,
        start: impl FnOnce(Answering<V>) -> F,
    ) -> watch::Receiver<Option<V>>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut table = lock(&self.table);
        if let Some(receiver) = table.running.get(&key) {
            return receiver.clone();
        }
        let (sender, receiver) = watch::channel(None);
        table.running.insert(key.clone(), receiver.clone());
        let work = start(Answering {
            sender,
            began_at: table.moment,
        });
        // The entry goes when the work ends, also when it panics or is dropped.
        let done = Done {
            table: Arc::clone(&self.table),
            key,
        };
        tasks.spawn(async move {
            let _done = done;
            work.await;
        });
        receiver
    }
}

/// Tells the answer of a piece of work, once or several times; the newest stands.
#[derive(Debug)]
pub struct Answering<V> {
    sender: watch::Sender<Option<V>>,
    began_at: Moment,
}

impl<V> Answering<V> {
    pub fn answer(&self, value: V) {
        self.sender.send_replace(Some(value));
    }

    /// Whether no piece of work has ended between `moment` and the beginning of this one.
    pub fn began_at(&self, moment: Moment) -> bool {
        self.began_at == moment
    }
}

struct Done<K: Eq + Hash, V> {
    table: Arc<Mutex<Table<K, V>>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Done<K, V> {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        table.running.remove(&self.key);
        table.moment.0 += 1;
    }
}

fn lock<K, V>(table: &Mutex<Table<K, V>>) -> MutexGuard<'_, Table<K, V>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_knows_whether_other_work_ended_since_somebody_looked() {
        let (single, tasks) = (Single::<u8, bool>::default(), TaskTracker::new());
        let before = single.moment();
        let work = |answering: Answering<bool>| async move {
            answering.answer(answering.began_at(before));
        };
        assert_eq!(single.run(&tasks, 1, work).await, Some(true));
        single.settle(&1).await;
        assert_ne!(single.moment(), before);
        assert_eq!(single.run(&tasks, 1, work).await, Some(false));
    }
}
