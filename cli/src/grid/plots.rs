//! The plots of a grid: time by workers and by batch size, speed-up and iterations by workers, each with what
//! the original experiments published where it is the same.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use figures::chart::{Axis, Chart, Line, Lines, Point, Scale};
use platform::settings::{Settings, Workers};
use serde_json::Value;

use super::original;
use super::output::Setting;
use super::plan::{BATCH_SIZE as BATCH_SIZE_VARIABLE, WORKERS as WORKERS_VARIABLE};
use super::summary::{Spread, Summary};

/// One plot.
pub(crate) struct Plot {
    pub(crate) title: String,
    /// The file's name.
    pub(crate) file: String,
    pub(crate) svg: String,
}

/// A setting that an axis or the lines of a plot go by.
#[derive(Clone, Copy)]
struct Dimension {
    name: &'static str,
    of: fn(&Settings) -> usize,
    scale: Scale,
}

const WORKERS: Dimension = Dimension {
    name: "workers",
    of: |settings| settings.workers.fixed().unwrap_or_default(),
    scale: Scale::Linear,
};
const BATCH_SIZE: Dimension =
    Dimension { name: "batch size", of: |settings| settings.batch_size, scale: Scale::Logarithmic };

/// Configurations that differ in workers and batch size alone, and what the plots of them say.
struct Group<'a> {
    summaries: Vec<&'a Summary<'a>>,
    /// Below the title.
    subtitle: String,
    /// Of a file's name.
    suffix: String,
}

/// What a plot shows of a configuration: measured here, and by the original experiments.
struct Figure<'a> {
    here: &'a dyn Fn(&Summary<'_>) -> Option<Spread>,
    original: &'a dyn Fn(&Settings) -> Option<f64>,
}

/// Every plot that there are measurements for; one set for each combination of the settings that differ
/// beyond workers and batch size.
pub(crate) fn all(setting: &Setting, summaries: &[Summary<'_>]) -> Result<Vec<Plot>> {
    let mut groups: BTreeMap<String, Vec<&Summary<'_>>> = BTreeMap::new();
    for summary in summaries {
        groups.entry(others(summary).to_string()).or_default().push(summary);
    }
    let groups: Vec<_> = groups.into_values().map(|summaries| (named(summaries[0]), summaries)).collect();
    let mut plots = Vec::new();
    let mut taken: BTreeMap<String, u32> = BTreeMap::new();
    for (varied, summaries) in &groups {
        // What all have in common tells none from the others.
        let differs = |(key, value): &(&&String, &&String)| {
            groups.iter().any(|(other, _)| other.get(*key) != Some(*value))
        };
        let pairs: Vec<_> =
            varied.iter().filter(differs).map(|(key, value)| format!("{key}={value}")).collect();
        let remarks = pairs.iter().cloned().chain([subtitle(setting, summaries)]);
        let mut suffix: String = pairs.iter().map(|pair| format!("-{}", file_name(pair))).collect();
        // Stack files may differ where `--set` does not.
        let count = taken.entry(suffix.clone()).or_default();
        *count += 1;
        if *count > 1 {
            suffix.push_str(&format!("-{count}"));
        }
        let subtitle = remarks.collect::<Vec<_>>().join(", ");
        plots.extend(Group { subtitle, suffix, summaries: summaries.clone() }.plots()?);
    }
    Ok(plots)
}

/// All settings but those that a plot's axes and lines go by.
fn others(summary: &Summary<'_>) -> Value {
    let mut all = settings(summary).to_json();
    if let Some(all) = all.as_object_mut() {
        all.retain(|key, _| ![WORKERS_VARIABLE, BATCH_SIZE_VARIABLE].contains(&key.as_str()));
    }
    all
}

/// The same of what `--set` varies, to name it.
fn named<'a>(summary: &Summary<'a>) -> BTreeMap<&'a String, &'a String> {
    let varied = summary.configuration.varied.iter();
    varied.filter(|(key, _)| ![WORKERS_VARIABLE, BATCH_SIZE_VARIABLE].contains(&key.as_str())).collect()
}

/// Without what has a meaning in paths or links.
fn file_name(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "=-_.".contains(c);
    text.chars().map(|c| if fits(c) { c } else { '_' }).collect()
}

fn subtitle(setting: &Setting, summaries: &[&Summary<'_>]) -> String {
    let datasets: BTreeSet<_> = summaries.iter().flat_map(|summary| summary.datasets()).collect();
    let datasets: Vec<_> = datasets.into_iter().collect();
    let Setting { platform, rounds } = setting;
    let of = if *rounds == 1 {
        "one round".to_owned()
    } else {
        format!("mean and standard deviation of {rounds} rounds")
    };
    format!("{} on {platform}; {of}", datasets.join(", "))
}

impl Group<'_> {
    fn plots(&self) -> Result<Vec<Plot>> {
        let time = Figure { here: &|summary| summary.time(), original: &original::seconds };
        let iterations =
            Figure { here: &|summary| summary.spread(|measured| measured.iterations), original: &|_| None };
        let alone = |summary: &Summary<'_>| self.alone(summary)?.time();
        let speed_up = Figure {
            here: &|summary| match (settings(summary).workers, summary.time()?) {
                (Workers::Fixed(1), _) => Some(Spread { mean: 1.0, deviation: None }),
                (_, time) => Some(ratio(alone(summary)?, time)),
            },
            original: &|settings| {
                let mut alone = settings.clone();
                alone.workers = Workers::Fixed(1);
                Some(original::seconds(&alone)? / original::seconds(settings)?)
            },
        };
        let seconds = Axis::new("Time (s)", Scale::Logarithmic);
        let linear = |label| Axis { from_zero: true, ..Axis::new(label, Scale::Linear) };
        let times = Axis { reference: Some(1.0), ..linear("Speed-up over one worker (×)") };
        let target = self.target();
        let drawn = [
            self.plot(
                &format!("Time {target}, by workers"),
                "time-by-workers",
                seconds.clone(),
                [WORKERS, BATCH_SIZE],
                &time,
            )?,
            self.plot(
                &format!("Time {target}, by batch size"),
                "time-by-batch-size",
                seconds,
                [BATCH_SIZE, WORKERS],
                &time,
            )?,
            self.plot("Speed-up, by workers", "speed-up", times, [WORKERS, BATCH_SIZE], &speed_up)?,
            self.plot(
                &format!("Iterations {target}, by workers"),
                "iterations-by-workers",
                linear("Iterations (epochs of all workers)"),
                [WORKERS, BATCH_SIZE],
                &iterations,
            )?,
        ];
        Ok(drawn.into_iter().flatten().collect())
    }

    /// Draws a figure, or nothing where nothing was measured.
    fn plot(
        &self,
        title: &str,
        file: &str,
        y: Axis,
        [along, by]: [Dimension; 2],
        figure: &Figure<'_>,
    ) -> Result<Option<Plot>> {
        let kinds: BTreeSet<usize> =
            self.summaries.iter().map(|summary| (by.of)(settings(summary))).collect();
        let line = |kind: usize, dashed: bool| {
            let points = self.points(along, |settings| (by.of)(settings) == kind, figure, dashed);
            Line { name: label(by, kind), points }
        };
        let here: Vec<Line> = kinds.iter().map(|kind| line(*kind, false)).collect();
        if here.iter().all(|line| line.points.is_empty()) {
            return Ok(None);
        }
        let chart = Chart {
            title: title.to_owned(),
            subtitle: self.subtitle.clone(),
            x: Axis::new(&capitalised(along.name), along.scale),
            y,
            measured: Lines { heading: "Measured here".to_owned(), lines: here, ..Lines::default() },
            compared: Lines {
                heading: "Original experiments".to_owned(),
                remark: "EMNIST ByMerge, 3 machines".to_owned(),
                lines: kinds.iter().map(|kind| line(*kind, true)).collect(),
            },
        };
        let file = format!("{file}{}.svg", self.suffix);
        Ok(Some(Plot { title: title.to_owned(), file, svg: chart.draw()? }))
    }

    fn points(
        &self,
        along: Dimension,
        is_on_line: impl Fn(&Settings) -> bool,
        figure: &Figure<'_>,
        of_the_original: bool,
    ) -> Vec<Point> {
        let mut points: Vec<Point> = self
            .summaries
            .iter()
            .filter(|summary| is_on_line(settings(summary)))
            .filter_map(|summary| {
                let x = (along.of)(settings(summary)) as f64;
                let spread = if of_the_original {
                    Spread { mean: (figure.original)(settings(summary))?, deviation: None }
                } else {
                    (figure.here)(summary)?
                };
                Some(Point { x, y: spread.mean, deviation: spread.deviation.unwrap_or(0.0) })
            })
            .collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        points
    }

    /// The configuration with one worker that differs in nothing else.
    fn alone(&self, summary: &Summary<'_>) -> Option<&Summary<'_>> {
        let same = |other: &&&Summary<'_>| {
            settings(other).workers == Workers::Fixed(1)
                && settings(other).batch_size == settings(summary).batch_size
        };
        self.summaries.iter().find(same).copied()
    }

    /// When a run ends, in words.
    fn target(&self) -> String {
        let target = self.summaries.first().and_then(|summary| settings(summary).target_accuracy);
        target.map_or_else(
            || "of all epochs".to_owned(),
            |target| format!("to {} % test accuracy", 100.0 * target),
        )
    }
}

/// One mean over another, with the deviation that follows from theirs.
fn ratio(over: Spread, under: Spread) -> Spread {
    let mean = over.mean / under.mean;
    let relative = |spread: Spread| Some((spread.deviation? / spread.mean).powi(2));
    let squares = relative(over).zip(relative(under)).map(|(over, under)| over + under);
    Spread { mean, deviation: squares.map(|squares| mean * squares.sqrt()) }
}

fn settings<'a>(summary: &Summary<'a>) -> &'a Settings {
    &summary.configuration.settings
}

fn label(by: Dimension, kind: usize) -> String {
    match by.name {
        "workers" if kind == 1 => "1 worker".to_owned(),
        "workers" => format!("{kind} workers"),
        name => format!("{name} {kind}"),
    }
}

fn capitalised(text: &str) -> String {
    let (first, rest) = text.split_at(text.len().min(1));
    format!("{}{rest}", first.to_uppercase())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::plan;
    use super::super::results::Outcome;
    use super::super::results::Results;
    use super::super::results::tests::{measured, record};
    use super::*;

    fn plots_of(times: &[(&str, f64)], axes: &[plan::Axis]) -> Vec<Plot> {
        let folder = TempDir::new().unwrap();
        let mut results = Results::open(folder.path()).unwrap();
        for (name, time) in times {
            let outcome = Outcome::Finished(measured(*time, 1.0, &["a"]));
            results.add(record(name, 1, outcome)).unwrap();
        }
        let grid = plan::configurations(&[], axes).unwrap();
        let summaries: Vec<_> = grid.iter().map(|c| Summary::new(c, "f", &results, 1)).collect();
        all(&Setting { platform: "a laptop".to_owned(), rounds: 1 }, &summaries).unwrap()
    }

    fn files(plots: &[Plot]) -> Vec<&str> {
        plots.iter().map(|plot| plot.file.as_str()).collect()
    }

    #[test]
    fn a_speed_up_needs_one_worker_to_compare_with() {
        let plots = plots_of(&[("emnist323", 2.0)], &[]);
        assert_eq!(
            files(&plots),
            ["time-by-workers.svg", "time-by-batch-size.svg", "iterations-by-workers.svg"]
        );
        let plots = plots_of(&[("emnist321", 3.0), ("emnist323", 2.0)], &[]);
        assert_eq!(plots[2].file, "speed-up.svg");
        assert_eq!(plots[0].title, "Time to 75 % test accuracy, by workers");
        assert!(plots[0].svg.contains("emnist-bymerge (100,000 images) on a laptop"), "{}", plots[0].svg);
        assert!(plots[1].svg.contains("3 workers") && plots[1].svg.contains("EMNIST ByMerge, 3 machines"));
        assert!(plots_of(&[], &[]).is_empty());
        assert_eq!(file_name("data_dir=/a b/ü"), "data_dir=_a_b__");
    }

    #[test]
    fn settings_that_vary_further_have_plots_of_their_own() {
        let axes = ["n_fetch=1,10", "data_dir=/d"].map(|axis| axis.parse().unwrap());
        let names = ["emnist321 data_dir=/d n_fetch=1", "emnist321 data_dir=/d n_fetch=10"];
        let plots = plots_of(&names.map(|name| (name, 3.0)), &axes);
        assert_eq!(plots.len(), 8);
        assert_eq!(plots[0].file, "time-by-workers-n_fetch=1.svg");
        assert!(plots[0].svg.contains("n_fetch=1, emnist-bymerge"), "{}", plots[0].svg);
        let compared = |plot: &Plot| plot.svg.contains("Original experiments");
        assert!(!compared(&plots[0]) && compared(&plots[4]), "the original had nFetch 10");
    }

    #[test]
    fn workers_and_batch_size_are_in_one_plot_however_they_vary() {
        let axes = ["number_of_workers=1,2".parse().unwrap()];
        let names = ["emnist321 number_of_workers=1", "emnist321 number_of_workers=2"];
        let plots = plots_of(&names.map(|name| (name, 3.0)), &axes);
        assert_eq!(
            files(&plots),
            ["time-by-workers.svg", "time-by-batch-size.svg", "speed-up.svg", "iterations-by-workers.svg"]
        );
    }

    #[test]
    fn the_deviation_of_a_ratio_follows_from_both() {
        let spread = |mean, deviation| Spread { mean, deviation };
        assert_eq!(ratio(spread(6.0, None), spread(2.0, Some(1.0))), spread(3.0, None));
        let of_both = ratio(spread(6.0, Some(0.6)), spread(2.0, Some(0.2)));
        assert!((of_both.deviation.unwrap() - 3.0 * 0.02_f64.sqrt()).abs() < 1e-12);
    }
}
