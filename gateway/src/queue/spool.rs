//! The folder of queued invocations, and the thread that writes there: what is to be kept while it writes goes into its
//! next file, so that many callers wait for one flush together.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use super::batch::{self, Record};
use super::invocation::Invocation;
use crate::error::{Refusal, StorageError};
use crate::storage;

/// A file gets no further invocation beyond so many bytes.
const BATCH_LIMIT: usize = 1 << 20;

type Reply<T> = oneshot::Sender<Result<T, StorageError>>;

/// What the thread is asked for.
enum Task {
    Keep(Vec<u8>, Reply<Record>),
    Done(Record),
    Forget(Record, Reply<()>),
    End,
}

/// The folder of queued invocations.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    tasks: Sender<Task>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Spool {
    pub(crate) fn open(state_dir: &Path) -> Result<Self, StorageError> {
        let folder = state_dir.join("queue");
        storage::create_folder(&folder)?;
        let (tasks, received) = mpsc::channel();
        let writer = Writer { folder: folder.clone(), count: 0 };
        let writer = thread::Builder::new().name("queue".to_owned()).spawn(move || writer.run(&received));
        let writer = writer.map_err(StorageError::io("write", &folder))?;
        Ok(Self { folder, tasks, writer: Mutex::new(Some(writer)) })
    }

    /// What an earlier gateway left, oldest first.
    pub(super) fn list(&self) -> Result<Vec<(Record, Invocation)>, StorageError> {
        let mut paths = storage::list(&self.folder)?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        let mut all = Vec::new();
        for path in paths {
            all.extend(batch::read(&path)?);
        }
        Ok(all)
    }

    /// Keeps an invocation; it is durable when this returns.
    pub(super) async fn push(&self, invocation: &Invocation) -> Result<Record, Refusal> {
        let line = serde_json::to_vec(invocation).map_err(|_| Refusal::Task)?;
        self.ask(|reply| Task::Keep(line, reply)).await
    }

    /// Notes that an invocation is done, soon.
    pub(super) fn done(&self, record: Record) {
        // A gateway that ends has closed the folder: the invocation is called again.
        let _ = self.tasks.send(Task::Done(record));
    }

    /// Forgets an invocation; it never comes back once this has returned.
    pub(super) async fn forget(&self, record: Record) -> Result<(), Refusal> {
        self.ask(|reply| Task::Forget(record, reply)).await
    }

    async fn ask<T>(&self, task: impl FnOnce(Reply<T>) -> Task) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        let ended = || Refusal::Unavailable("the gateway is ending".to_owned());
        self.tasks.send(task(reply)).map_err(|_| ended())?;
        Ok(answer.await.map_err(|_| ended())??)
    }

    /// Writes what it was asked for so far, and nothing after that: the folder is free for another gateway.
    pub(crate) fn close(&self) {
        let _ = self.tasks.send(Task::End);
        if let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = writer.join();
        }
    }
}

/// The one who writes.
struct Writer {
    folder: PathBuf,
    /// Tells apart what is queued within one tick of the clock.
    count: u64,
}

impl Writer {
    fn run(mut self, tasks: &Receiver<Task>) {
        while let Ok(first) = tasks.recv() {
            let (mut lines, mut replies) = (Vec::new(), Vec::new());
            let (mut next, mut length) = (Some(first), 0);
            while let Some(task) = next {
                match task {
                    Task::Keep(line, reply) => {
                        length += line.len();
                        lines.push(line);
                        replies.push(reply);
                    }
                    Task::Done(record) => done(&record),
                    Task::Forget(record, reply) => {
                        let _ = reply.send(record.done(true));
                    }
                    Task::End => {
                        self.keep(&lines, replies);
                        return;
                    }
                }
                next = if length < BATCH_LIMIT { tasks.try_recv().ok() } else { None };
            }
            self.keep(&lines, replies);
        }
    }

    fn keep(&mut self, lines: &[Vec<u8>], replies: Vec<Reply<Record>>) {
        if lines.is_empty() {
            return;
        }
        let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        self.count += 1;
        let path = self.folder.join(format!("{nanoseconds:020}-{:08}.json", self.count));
        match batch::write(path, lines) {
            Ok(records) => records.into_iter().zip(replies).for_each(|(record, reply)| {
                // A caller who left before the answer may have been lost on the way as well: the call is made.
                let _ = reply.send(Ok(record));
            }),
            // One that is too large for the room that is left must not take the others along.
            Err(_) if lines.len() > 1 => {
                for (line, reply) in lines.iter().zip(replies) {
                    self.keep(std::slice::from_ref(line), vec![reply]);
                }
            }
            Err(error) => replies.into_iter().for_each(|reply| {
                let _ = reply.send(Err(error.once_more()));
            }),
        }
    }
}

fn done(record: &Record) {
    if let Err(error) = record.done(false) {
        tracing::error!(%error, "an invocation that is done will be called again after a restart");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(folder: &Path) -> Vec<String> {
        let spool = Spool::open(folder).unwrap();
        let left = spool.list().unwrap().into_iter().map(|(_, invocation)| invocation.function).collect();
        spool.close();
        left
    }

    #[tokio::test]
    async fn what_is_queued_comes_back_in_order_after_a_restart_and_what_is_done_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        let mut records = Vec::new();
        for name in ["a", "b", "c", "d"] {
            records.push(spool.push(&Invocation::scheduled(name, "id")).await.unwrap());
        }
        spool.done(records[1].clone());
        spool.forget(records[2].clone()).await.unwrap();
        spool.close();
        assert_eq!(left(folder.path()), ["a", "d"]);
        let refused = spool.push(&Invocation::scheduled("e", "id")).await.unwrap_err();
        assert!(matches!(refused, Refusal::Unavailable(_)), "{refused}");
    }

    #[test]
    fn what_comes_while_it_writes_shares_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let (tasks, received) = mpsc::channel();
        let keep = |name: &str| {
            let line = serde_json::to_vec(&Invocation::scheduled(name, "id")).unwrap();
            let (reply, answer) = oneshot::channel();
            tasks.send(Task::Keep(line, reply)).unwrap();
            answer
        };
        let answers = ["a", "b", "c"].map(keep);
        tasks.send(Task::End).unwrap();
        Writer { folder: folder.path().to_owned(), count: 0 }.run(&received);
        let records = answers.map(|answer| answer.blocking_recv().unwrap().unwrap());
        assert_eq!(records.map(|record| record.load().unwrap().function), ["a", "b", "c"]);
        assert_eq!(storage::list(folder.path()).unwrap().len(), 1);
    }
}
