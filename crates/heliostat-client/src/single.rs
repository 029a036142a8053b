//! Does each thing once, however many wait for it. The work runs in a task of its own, so a waiting client that goes
//! away takes nothing from the others.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// Work under way, by key.
#[derive(Debug)]
pub struct Single<K, V> {
    running: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
}

impl<K, V> Default for Single<K, V> {
    fn default() -> Self {
        Self {
            running: Arc::default(),
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

    /// Waits until nothing is under way for `key`, what follows the answer included.
    pub async fn settle(&self, key: &K) {
        let receiver = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned();
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
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receiver) = running.get(&key) {
            return receiver.clone();
        }
        let (sender, receiver) = watch::channel(None);
        running.insert(key.clone(), receiver.clone());
        let work = start(Answering(sender));
        // The entry goes when the work ends, also when it panics or is dropped.
        let done = Done {
            running: Arc::clone(&self.running),
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
pub struct Answering<V>(watch::Sender<Option<V>>);

impl<V> Answering<V> {
    pub fn answer(&self, value: V) {
        self.0.send_replace(Some(value));
    }
}

struct Done<K: Eq + Hash, V> {
    running: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Done<K, V> {
    fn drop(&mut self) {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}
