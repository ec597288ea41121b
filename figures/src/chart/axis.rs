//! An axis: its range and ticks follow from the values along it.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

/// How values are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal distances are equal differences.
    Linear,
    /// Equal distances are equal ratios.
    Logarithmic,
}

/// An axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// With the unit.
    pub label: String,
    /// How values are laid out along it.
    pub scale: Scale,
    /// Whether it begins at zero.
    pub from_zero: bool,
    /// A value to draw a line at.
    pub reference: Option<f64>,
}

/// Positions along an axis: logarithms where it is logarithmic, else the values themselves.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) range: Range<f64>,
    /// With a label.
    pub(super) ticks: Vec<f64>,
    /// Without.
    pub(super) fine_ticks: Vec<f64>,
}

impl Ranged for Layout {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, pixels: (i32, i32)) -> i32 {
        let share = (place - self.range.start) / (self.range.end - self.range.start);
        pixels.0 + (share * f64::from(pixels.1 - pixels.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { self.fine_ticks.clone() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// About so many ticks has a linear axis.
const TICKS: f64 = 6.0;
/// Part of the range that is left free at each end of an axis with given ticks.
const MARGIN: f64 = 0.06;

impl Axis {
    /// An axis without a line across, from about the least value to about the greatest.
    pub fn new(label: &str, scale: Scale) -> Self {
        Self { label: label.to_owned(), scale, from_zero: false, reference: None }
    }

    /// Where a value is.
    pub(super) fn place(&self, value: f64) -> f64 {
        if self.scale == Scale::Logarithmic { value.log10() } else { value }
    }

    /// The label of a tick.
    pub(super) fn tick_label(&self, place: f64) -> String {
        let value = if self.scale == Scale::Logarithmic { 10_f64.powf(place) } else { place };
        // Ticks are round numbers; what arithmetic adds to them is not shown.
        ((value * 1e6).round() / 1e6).to_string()
    }

    /// A tick at each of these values.
    pub(super) fn with_ticks_at(&self, values: impl IntoIterator<Item = f64>) -> Layout {
        let mut ticks: Vec<f64> = values.into_iter().map(|value| self.place(value)).collect();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        let (first, last) = (ticks.first().copied().unwrap_or(0.0), ticks.last().copied().unwrap_or(1.0));
        let margin = if last > first { MARGIN * (last - first) } else { 0.5 };
        Layout { range: first - margin..last + margin, ticks, fine_ticks: Vec::new() }
    }

    /// Round ticks that these values are between.
    pub(super) fn around(&self, values: impl IntoIterator<Item = f64>) -> Layout {
        let places: Vec<f64> =
            values.into_iter().map(|value| self.place(value)).filter(|p| p.is_finite()).collect();
        let least = places.iter().copied().fold(f64::INFINITY, f64::min);
        let most = places.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (least, most) = if least <= most { (least, most) } else { (0.0, 1.0) };
        match self.scale {
            Scale::Linear => linear(if self.from_zero { 0.0 } else { least }, most),
            Scale::Logarithmic => logarithmic(least, most),
        }
    }
}

fn linear(least: f64, most: f64) -> Layout {
    let span = if most > least { most - least } else { most.abs().max(1.0) };
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * 10_f64.powf((span / TICKS).log10().floor()));
    let step = step.into_iter().find(|step| span / step <= TICKS).unwrap_or(span);
    let (first, last) = ((least / step).floor(), (most / step + 0.3).ceil());
    let ticks = (0..=(last - first) as u32).map(|index| (first + f64::from(index)) * step).collect();
    Layout { range: first * step..last * step, ticks, fine_ticks: Vec::new() }
}

fn logarithmic(least: f64, most: f64) -> Layout {
    // Ends at a tenth, a fifth or a half of a decade's end, above and below.
    let ends: Vec<f64> = (-12..=12)
        .flat_map(|decade| [1.0_f64, 2.0, 5.0].map(|digit| f64::from(decade) + digit.log10()))
        .collect();
    let start = ends.iter().copied().rfind(|end| *end < least - 0.02).unwrap_or(least);
    let end = ends.iter().copied().find(|end| *end > most + 0.02).unwrap_or(most);
    let within = |place: &f64| *place >= start - 1e-9 && *place <= end + 1e-9;
    let ticks: Vec<f64> = (-12..=12).map(f64::from).filter(within).collect();
    let fine =
        (-12..=12).flat_map(|decade| (2..=9).map(move |digit| f64::from(decade) + f64::from(digit).log10()));
    Layout { range: start..end, ticks, fine_ticks: fine.filter(within).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_has_round_ticks_around_its_values() {
        let axis = Axis { from_zero: true, ..Axis::new("x", Scale::Linear) };
        let layout = axis.around([0.7, 2.1]);
        assert_eq!(
            layout.ticks.iter().map(|tick| axis.tick_label(*tick)).collect::<Vec<_>>(),
            ["0", "0.5", "1", "1.5", "2", "2.5"]
        );
        assert_eq!(layout.range, 0.0..2.5);
        assert!(axis.around([]).ticks.len() > 1);
    }

    #[test]
    fn a_logarithmic_axis_has_decades_and_what_is_between() {
        let axis = Axis::new("s", Scale::Logarithmic);
        let layout = axis.around([0.6, 4593.0]);
        assert_eq!(
            layout.ticks.iter().map(|tick| axis.tick_label(*tick)).collect::<Vec<_>>(),
            ["1", "10", "100", "1000"]
        );
        assert!((layout.range.start - 0.5_f64.log10()).abs() < 1e-9);
        assert!((layout.range.end - 5000_f64.log10()).abs() < 1e-9);
        assert_eq!(layout.fine_ticks.len(), 5 + 3 * 8 + 4);
    }

    #[test]
    fn a_single_value_still_has_a_range() {
        let layout = Axis::new("x", Scale::Linear).with_ticks_at([3.0, 3.0]);
        assert_eq!((layout.range, layout.ticks), (2.5..3.5, vec![3.0]));
    }
}
