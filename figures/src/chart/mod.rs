//! A chart as SVG: lines with error bars, dashed ones for comparison, a legend beside them.
//!
//! Colours are those of a light theme; a style sheet in the SVG replaces paper and ink where the reader
//! prefers a dark one. The lines stand out on both, also for eyes that see few colours.

mod axis;
mod legend;
mod marker;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use self::axis::Layout;
use self::marker::Look;

pub use self::axis::{Axis, Scale};

const SIZE: (u32, u32) = (900, 500);
/// Width of the part with the axes; the rest is the legend's.
const PLOT_WIDTH: i32 = 700;
/// Height of the titles.
const HEAD: i32 = 58;
/// Where titles begin.
const LEFT: i32 = 20;

const PAPER: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(31, 35, 40);
const FAINT: RGBColor = RGBColor(101, 109, 118);
const GRID: RGBColor = RGBColor(209, 213, 218);
const FINE_GRID: RGBColor = RGBColor(238, 240, 242);
/// What becomes of them on dark paper.
const DARK: [(RGBColor, &str); 5] =
    [(PAPER, "#0D1117"), (INK, "#E6EDF3"), (FAINT, "#9198A1"), (GRID, "#3D444D"), (FINE_GRID, "#21262D")];
/// Lines at the same place are drawn so far apart, as a share of the width, that each can be seen.
const APART: f64 = 0.011;
/// Paul Tol's scheme "bright", <https://personal.sron.nl/~pault/>.
const LINES: [RGBColor; 6] = [
    RGBColor(0x44, 0x77, 0xAA),
    RGBColor(0xEE, 0x66, 0x77),
    RGBColor(0x22, 0x88, 0x33),
    RGBColor(0xAA, 0x33, 0x77),
    RGBColor(0x66, 0xCC, 0xEE),
    RGBColor(0xCC, 0xBB, 0x44),
];

/// A mean with its standard deviation.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Where it is along the horizontal axis.
    pub x: f64,
    /// The mean.
    pub y: f64,
    /// The standard deviation, drawn as a bar; 0 for none.
    pub deviation: f64,
}

/// A line through points.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it stands for.
    pub name: String,
    /// In the order of x.
    pub points: Vec<Point>,
}

/// Lines that belong together.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// Above their names in the legend.
    pub heading: String,
    /// Below the heading; empty for none.
    pub remark: String,
    /// Those without points are left out.
    pub lines: Vec<Line>,
}

/// A chart. Lines of the same place in both lists look alike.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Above everything.
    pub title: String,
    /// Below the title: where and how it was measured.
    pub subtitle: String,
    /// The horizontal axis; it has a tick at every point.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What was measured: solid.
    pub measured: Lines,
    /// For comparison: dashed.
    pub compared: Lines,
}

/// A chart could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("can't draw {title:?}: {why}")]
pub struct DrawError {
    title: String,
    why: String,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Plane<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Layout, Layout>>;
type Drawn = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// The colour of a line.
fn colour(line: usize) -> RGBColor {
    LINES[line % LINES.len()]
}

/// Text of a chart: plotters draws a font of size 17 about 14 pixels high.
fn text_style<'a>(size: u32, bold: bool, colour: RGBColor) -> TextStyle<'a> {
    let style = if bold { FontStyle::Bold } else { FontStyle::Normal };
    ("sans-serif", size).into_font().style(style).color(&colour)
}

impl Chart {
    /// Draws it as SVG, which stands alone in a file.
    ///
    /// # Errors
    /// The drawing library fails.
    pub fn draw(&self) -> Result<String, DrawError> {
        let mut svg = String::new();
        self.draw_into(&mut svg)
            .map_err(|error| DrawError { title: self.title.clone(), why: error.to_string() })?;
        Ok(themed(&svg, &self.title))
    }

    fn draw_into(&self, svg: &mut String) -> Drawn {
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        root.fill(&PAPER)?;
        root.draw(&Text::new(shortened(&self.title, 80), (LEFT, 12), text_style(23, true, INK)))?;
        root.draw(&Text::new(shortened(&self.subtitle, 125), (LEFT, 37), text_style(16, false, FAINT)))?;
        let (_, body) = root.split_vertically(HEAD);
        let (plot, side) = body.split_horizontally(PLOT_WIDTH);
        self.draw_plot(&plot)?;
        legend::draw(&side, [(&self.measured, Look::Solid), (&self.compared, Look::Dashed)])?;
        Ok(root.present()?)
    }

    fn draw_plot(&self, area: &Area<'_>) -> Drawn {
        let (x, y) = self.layouts();
        let mut plane = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(52)
            .y_label_area_size(70)
            .build_cartesian_2d(x, y)?;
        plane
            .configure_mesh()
            .x_desc(&self.x.label)
            .y_desc(&self.y.label)
            .axis_desc_style(text_style(18, false, INK))
            .label_style(text_style(17, false, INK))
            .axis_style(FAINT)
            .bold_line_style(GRID)
            .light_line_style(FINE_GRID)
            .x_label_formatter(&|place| self.x.tick_label(*place))
            .y_label_formatter(&|place| self.y.tick_label(*place))
            .draw()?;
        if let Some(value) = self.y.reference {
            let (y, x) = (self.y.place(value), plane.x_range());
            plane.draw_series(LineSeries::new([(x.start, y), (x.end, y)], FAINT.stroke_width(1)))?;
        }
        for (index, line) in self.compared.lines.iter().enumerate() {
            self.draw_line(&mut plane, index, line, Look::Dashed)?;
        }
        for (index, line) in self.measured.lines.iter().enumerate() {
            self.draw_line(&mut plane, index, line, Look::Solid)?;
        }
        Ok(())
    }

    fn layouts(&self) -> (Layout, Layout) {
        let points = || self.measured.lines.iter().chain(&self.compared.lines).flat_map(|line| &line.points);
        let ends = points().flat_map(|point| [point.y, point.y - point.deviation, point.y + point.deviation]);
        (self.x.with_ticks_at(points().map(|point| point.x)), self.y.around(ends))
    }

    fn draw_line(&self, plane: &mut Plane<'_, '_>, index: usize, line: &Line, look: Look) -> Drawn {
        let width = plane.x_range();
        let beside = index as f64 - (self.measured.lines.len() as f64 - 1.0) / 2.0;
        let shift = beside * APART * (width.end - width.start);
        let place = |point: &Point| (self.x.place(point.x) + shift, self.y.place(point.y));
        let places: Vec<_> = line.points.iter().map(place).collect();
        let stroke = look.stroke(index);
        match look {
            Look::Solid => plane.draw_series(LineSeries::new(places.clone(), stroke))?,
            Look::Dashed => plane.draw_series(DashedLineSeries::new(places.clone(), 7, 5, stroke))?,
        };
        let bottom = plane.y_range().start;
        for point in line.points.iter().filter(|point| point.deviation > 0.0) {
            // What is below zero has no place on a logarithmic axis.
            let end = |value: f64| Some(self.y.place(value)).filter(|y| y.is_finite()).unwrap_or(bottom);
            let ends =
                [point.y - point.deviation, point.y + point.deviation].map(|y| (place(point).0, end(y)));
            let bar = colour(index).stroke_width(2);
            plane.draw_series([PathElement::new(ends, bar)])?;
            plane.draw_series(
                ends.map(|at| EmptyElement::at(at) + PathElement::new([(-5, 0), (5, 0)], bar)),
            )?;
        }
        let marker = |at| EmptyElement::at(at) + look.inside(index) + look.outline(index);
        plane.draw_series(places.into_iter().map(marker))?;
        Ok(())
    }
}

/// A position in the middle of a text's left edge.
fn from_the_left() -> Pos {
    Pos::new(HPos::Left, VPos::Center)
}

/// A text that fits into the picture.
fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// With a title for those who don't see it, and the colours for dark paper.
fn themed(svg: &str, title: &str) -> String {
    let rules = DARK.iter().map(|(light, dark)| {
        let light = hex(*light);
        format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}")
    });
    let style = format!(
        "<title>{}</title>\n<style>@media (prefers-color-scheme:dark){{{}}}</style>\n",
        title.replace('&', "&amp;").replace('<', "&lt;"),
        rules.collect::<String>()
    );
    let (head, rest) = svg.split_once(">\n").unwrap_or(("", svg));
    format!("{head} role=\"img\">\n{style}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, points: &[(f64, f64, f64)]) -> Line {
        let points = points.iter().map(|(x, y, deviation)| Point { x: *x, y: *y, deviation: *deviation });
        Line { name: name.to_owned(), points: points.collect() }
    }

    fn drawn(measured: Vec<Line>, compared: Vec<Line>) -> String {
        let lines = |lines| Lines { heading: "heading".to_owned(), remark: String::new(), lines };
        let chart = Chart {
            title: "Time & speed".to_owned(),
            subtitle: "on a <laptop>".to_owned(),
            x: Axis::new("Workers", Scale::Linear),
            y: Axis::new("Time (s)", Scale::Logarithmic),
            measured: lines(measured),
            compared: lines(compared),
        };
        chart.draw().unwrap()
    }

    /// The values of an attribute.
    fn values<'a>(svg: &'a str, attribute: &str) -> Vec<&'a str> {
        let start = format!(" {attribute}=\"");
        svg.split(start.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn everything_is_within_the_picture_and_named() {
        // The second deviation reaches below zero, where a logarithm has no place.
        let here = vec![line("one", &[(1.0, 2.0, 0.1), (3.0, 1.0, 1.5)]), line("none", &[])];
        let svg = drawn(here, vec![line("published", &[(1.0, 600.0, 0.0), (3.0, 291.0, 0.0)])]);
        for text in ["Time &amp; speed", "on a &lt;laptop&gt;", "Workers", "Time (s)", "one", "published"] {
            assert!(svg.contains(text), "no {text} in {svg}");
        }
        assert!(!svg.contains("none\n"), "{svg}");
        for (attribute, most) in [("x", 900), ("x1", 900), ("x2", 900), ("y", 500), ("y1", 500), ("y2", 500)]
        {
            for value in values(&svg, attribute) {
                let value: i32 = value.parse().unwrap();
                assert!((0..=most).contains(&value), "{attribute}={value}");
            }
        }
        for points in values(&svg, "points") {
            for point in points.split_whitespace() {
                let (x, y) = point.split_once(',').unwrap();
                let (x, y): (i32, i32) = (x.parse().unwrap(), y.parse().unwrap());
                assert!((0..=900).contains(&x) && (0..=500).contains(&y), "{x},{y}");
            }
        }
    }

    #[test]
    fn dark_paper_is_provided_for() {
        let svg = drawn(vec![line("one", &[(1.0, 2.0, 0.0)])], Vec::new());
        assert!(svg.starts_with("<svg ") && svg.contains(" role=\"img\">\n<title>"), "{svg}");
        let (_, dark) = svg.split_once("@media (prefers-color-scheme:dark){").unwrap();
        for (light, _) in DARK {
            let selector = format!("[fill=\"{}\"]", hex(light));
            assert!(dark.contains(&selector), "{selector} in {dark}");
        }
        // Nothing is drawn in a colour that has no counterpart, but the lines.
        let known: Vec<String> = DARK.iter().map(|(light, _)| *light).chain(LINES).map(hex).collect();
        for colour in values(&svg, "fill").into_iter().chain(values(&svg, "stroke")) {
            assert!(colour == "none" || known.iter().any(|known| known == colour), "{colour}");
        }
    }
}
