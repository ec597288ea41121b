//! What happens to a function and its replicas: told to those who wait for a change, and the last of it kept to show.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

/// Notes kept of one function.
const KEPT: usize = 100;

/// Something that happened, as a Kubernetes event tells it.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) at: SystemTime,
    /// The replica that it happened to; `None` where it is about the function.
    pub(crate) pod: Option<String>,
    /// Whether someone may have to look after it.
    pub(crate) warning: bool,
    /// One word, Kubernetes' own where it has one.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// The journal of one function.
#[derive(Debug)]
pub(crate) struct Journal {
    own: watch::Sender<()>,
    all: watch::Sender<()>,
    notes: Mutex<VecDeque<Note>>,
}

impl Journal {
    /// An empty journal; `all` hears of what changes in any function.
    pub(crate) fn new(all: watch::Sender<()>) -> Self {
        Self { own: watch::Sender::new(()), all, notes: Mutex::default() }
    }

    /// Hears of every [`Journal::changed`].
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.own.subscribe()
    }

    /// Says that something is different now.
    pub(crate) fn changed(&self) {
        self.own.send_replace(());
        self.all.send_replace(());
    }

    /// Takes down what happened to the replica `pod`, or to the function.
    pub(crate) fn note(&self, pod: Option<&str>, warning: bool, reason: &'static str, message: String) {
        let note = Note { at: SystemTime::now(), pod: pod.map(str::to_owned), warning, reason, message };
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() == KEPT {
            notes.pop_front();
        }
        notes.push_back(note);
        drop(notes);
        self.all.send_replace(());
    }

    /// The last notes, oldest first.
    pub(crate) fn notes(&self) -> Vec<Note> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_notes_are_kept_and_told() {
        let all = watch::Sender::new(());
        let journal = Journal::new(all.clone());
        let (own, others) = (journal.subscribe(), all.subscribe());
        for number in 0..=KEPT {
            journal.note(Some("a"), false, "Started", number.to_string());
        }
        let notes = journal.notes();
        assert_eq!((notes.len(), notes[0].message.as_str()), (KEPT, "1"));
        assert!(others.has_changed().unwrap() && !own.has_changed().unwrap());
        journal.changed();
        assert!(own.has_changed().unwrap());
    }
}
