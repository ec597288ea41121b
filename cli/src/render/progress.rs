//! Live progress of a run on standard error: a bar per worker in a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use figures::table::{grouped, short};

/// A worker's latest figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WorkerProgress {
    /// The worker's number, from 0.
    pub(crate) worker: u32,
    /// Epochs trained so far; 2.5 is in the middle of the third.
    pub(crate) epoch: f64,
    /// Samples that it trains on in a second.
    pub(crate) samples_per_s: f64,
    /// Mean loss since the last report.
    pub(crate) loss: f64,
    /// Mean number of pushes by others that its pushed gradients had not seen.
    pub(crate) staleness: f64,
}

/// Accuracy on test data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Accuracy {
    /// The share of test images that were classified right, 0 to 1.
    pub(crate) value: f64,
    /// How many test images were looked at.
    pub(crate) images: u32,
}

/// The display; feed it with what the run reports.
pub(crate) struct Progress {
    display: Display,
    epochs: f64,
    target: Option<f64>,
}

enum Display {
    Bars(Bars),
    Lines(Lines),
}

/// Between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(1);
/// A bar's units per epoch.
const UNITS: f64 = 1000.0;

impl Progress {
    /// A display for a run of at most `epochs` epochs that stops at the accuracy `target`.
    pub(crate) fn new(epochs: f64, target: Option<f64>) -> Self {
        let display = if io::stderr().is_terminal() {
            Display::Bars(Bars::default())
        } else {
            Display::Lines(Lines::new(Instant::now()))
        };
        Self { display, epochs, target }
    }

    /// A worker's news.
    pub(crate) fn worker(&mut self, news: WorkerProgress) {
        match &mut self.display {
            Display::Bars(bars) => bars.worker(&news, self.epochs),
            Display::Lines(lines) => {
                lines.workers.insert(news.worker, news);
                if let Some(line) = lines.due(Instant::now()) {
                    eprintln!("{line}");
                }
            }
        }
    }

    /// A new measurement.
    pub(crate) fn accuracy(&mut self, accuracy: Accuracy) {
        let text = accuracy_text(accuracy, self.target);
        match &mut self.display {
            Display::Bars(bars) => bars.accuracy(text),
            Display::Lines(lines) => lines.accuracy = Some(text),
        }
    }

    /// A message, above the bars.
    pub(crate) fn message(&self, text: &str) {
        match &self.display {
            // A terminal that is gone has no use for the message.
            Display::Bars(bars) => drop(bars.multi.println(text)),
            Display::Lines(_) => eprintln!("{text}"),
        }
    }

    /// Takes the bars away, so that the report follows the messages.
    pub(crate) fn finish(self) {
        match self.display {
            Display::Bars(bars) => drop(bars.multi.clear()),
            Display::Lines(lines) => eprintln!("{}", lines.text(Instant::now())),
        }
    }
}

#[derive(Default)]
struct Bars {
    multi: MultiProgress,
    workers: BTreeMap<u32, ProgressBar>,
    accuracy: Option<ProgressBar>,
}

impl Bars {
    fn worker(&mut self, news: &WorkerProgress, epochs: f64) {
        if !self.workers.contains_key(&news.worker) {
            // In the order of their numbers, above the accuracy.
            let position = self.workers.range(..news.worker).count();
            // Inserted first: a bar of its own would draw itself, and leave that line behind.
            let bar = self.multi.insert(position, ProgressBar::new(units(epochs)));
            bar.set_style(style("{prefix} [{bar:30}] {msg}"));
            bar.set_prefix(format!("worker {:>2}", news.worker));
            self.workers.insert(news.worker, bar);
        }
        if let Some(bar) = self.workers.get(&news.worker) {
            bar.set_position(units(news.epoch));
            bar.set_message(figures(news));
        }
    }

    fn accuracy(&mut self, text: String) {
        let multi = &self.multi;
        self.accuracy
            .get_or_insert_with(|| {
                let bar = multi.add(ProgressBar::new(0));
                bar.set_style(style("{msg}"));
                bar
            })
            .set_message(text);
    }
}

/// Progress for logs and pipes: the latest figures, about once a second.
struct Lines {
    start: Instant,
    last: Instant,
    workers: BTreeMap<u32, WorkerProgress>,
    accuracy: Option<String>,
}

impl Lines {
    fn new(start: Instant) -> Self {
        Self { start, last: start, workers: BTreeMap::new(), accuracy: None }
    }

    fn due(&mut self, now: Instant) -> Option<String> {
        if now.duration_since(self.last) < LINE_INTERVAL {
            return None;
        }
        self.last = now;
        Some(self.text(now))
    }

    fn text(&self, now: Instant) -> String {
        let mut line = format!("{} s", short(now.duration_since(self.start).as_secs_f64()));
        for news in self.workers.values() {
            // Writing into a string can't fail.
            let _ = write!(line, " | worker {}: {}", news.worker, figures(news));
        }
        if let Some(accuracy) = &self.accuracy {
            let _ = write!(line, " | {accuracy}");
        }
        line
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants above; a wrong one falls back to the default style.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

fn units(epochs: f64) -> u64 {
    (epochs * UNITS).clamp(0.0, 1e12) as u64
}

fn figures(news: &WorkerProgress) -> String {
    format!(
        "epoch {:.1}, {} samples/s, loss {:.3}, staleness {:.1}",
        news.epoch,
        grouped(news.samples_per_s),
        news.loss,
        news.staleness
    )
}

fn accuracy_text(accuracy: Accuracy, target: Option<f64>) -> String {
    let target = target.map(|target| format!(", target {:.1} %", 100.0 * target)).unwrap_or_default();
    format!("test accuracy {:.1} % of {} images{target}", 100.0 * accuracy.value, accuracy.images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_once_a_second_with_all_that_is_known() {
        let start = Instant::now();
        let mut lines = Lines::new(start);
        let news =
            WorkerProgress { worker: 1, epoch: 1.25, samples_per_s: 81_000.0, loss: 0.5, staleness: 2.0 };
        lines.workers.insert(1, news);
        assert_eq!(lines.due(start + Duration::from_millis(900)), None);
        lines.accuracy = Some(accuracy_text(Accuracy { value: 0.751, images: 10_000 }, Some(0.75)));
        assert_eq!(
            lines.due(start + Duration::from_millis(1500)).unwrap(),
            "1.5 s | worker 1: epoch 1.2, 81,000 samples/s, loss 0.500, staleness 2.0 \
             | test accuracy 75.1 % of 10000 images, target 75.0 %"
        );
        assert_eq!(lines.due(start + Duration::from_millis(2000)), None);
    }

    #[test]
    fn figures_that_make_no_sense_do_not_harm_the_bar() {
        assert_eq!(units(f64::NAN), 0);
        assert_eq!(units(-1.0), 0);
        assert_eq!(units(f64::INFINITY), 1_000_000_000_000);
        assert_eq!(units(2.5), 2500);
    }
}
