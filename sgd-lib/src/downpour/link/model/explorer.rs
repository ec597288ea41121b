//! Breadth first through all states: so what leads to a wrong one is told in as few steps as there are.

use std::collections::{HashSet, VecDeque};

/// What can be explored.
pub(super) trait System {
    type State;
    type Step: Copy + std::fmt::Debug;

    fn beginning(&self) -> Self::State;
    fn steps(&self, state: &Self::State) -> Vec<Self::Step>;
    fn after(&self, state: &Self::State, step: Self::Step) -> Self::State;
    /// A number that no other state has.
    fn hash(&self, state: &Self::State) -> u128;
    /// What is wrong, if anything is.
    fn check(&self, state: &Self::State) -> Result<(), String>;
}

/// A state that should not be, and how it comes about.
#[derive(Debug)]
pub(super) struct Counterexample<S> {
    pub(super) wrong: String,
    pub(super) steps: Vec<S>,
}

/// Where a state came from.
type Origin<S> = Option<(usize, S)>;

/// Looks at every state that can be reached; returns how many there are.
pub(super) fn explore<S: System>(system: &S) -> Result<usize, Counterexample<S::Step>> {
    let mut origins: Vec<Origin<S::Step>> = Vec::new();
    let (mut known, mut waiting) = (HashSet::new(), VecDeque::new());
    let mut meet = |state: S::State, origin, waiting: &mut VecDeque<_>| {
        if known.insert(system.hash(&state)) {
            origins.push(origin);
            waiting.push_back((origins.len() - 1, state));
            let number = origins.len() - 1;
            if let Err(wrong) = system.check(&waiting[waiting.len() - 1].1) {
                return Err(Counterexample { wrong, steps: way(&origins, number) });
            }
        }
        Ok(())
    };
    meet(system.beginning(), None, &mut waiting)?;
    while let Some((number, state)) = waiting.pop_front() {
        for step in system.steps(&state) {
            meet(system.after(&state, step), Some((number, step)), &mut waiting)?;
        }
    }
    Ok(known.len())
}

/// The steps that lead to the state of this number.
fn way<S: Copy>(origins: &[Origin<S>], number: usize) -> Vec<S> {
    let mut steps: Vec<_> = std::iter::successors(origins[number], |(number, _)| origins[*number])
        .map(|(_, step)| step)
        .collect();
    steps.reverse();
    steps
}
