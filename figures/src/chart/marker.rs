//! What marks a line's points, so that it can be told from the others without its colour, and the line's own
//! stroke.

use plotters::prelude::*;

use super::{PAPER, colour};

/// The corners of each marker, in pixels from its point.
const SHAPES: [&[(i32, i32)]; 6] = [
    &[(-4, -4), (4, -4), (4, 4), (-4, 4)],
    &[(0, -6), (6, 5), (-6, 5)],
    &[(0, -6), (6, 0), (0, 6), (-6, 0)],
    &[(0, 6), (6, -5), (-6, -5)],
    &[(-6, 0), (-3, -5), (3, -5), (6, 0), (3, 5), (-3, 5)],
    &[(-2, -6), (2, -6), (2, 6), (-2, 6)],
];

/// How the lines of a list are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Measured here: solid lines, filled markers.
    Solid,
    /// For comparison: dashed lines, hollow markers.
    Dashed,
}

impl Look {
    /// The inside of line number `line`'s marker.
    pub(super) fn inside(self, line: usize) -> Polygon<(i32, i32)> {
        let colour = if self == Self::Solid { colour(line) } else { PAPER };
        Polygon::new(SHAPES[line % SHAPES.len()], colour.filled())
    }

    /// The outline of its marker.
    pub(super) fn outline(self, line: usize) -> PathElement<(i32, i32)> {
        let corners = SHAPES[line % SHAPES.len()];
        let closed: Vec<_> = corners.iter().chain(corners.first()).copied().collect();
        PathElement::new(closed, colour(line).stroke_width(2))
    }

    /// How its line is drawn, dashes or not.
    pub(super) fn stroke(self, line: usize) -> ShapeStyle {
        colour(line).stroke_width(if self == Self::Solid { 3 } else { 2 })
    }
}
