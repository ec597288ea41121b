//! The legend, beside the plot so that it covers nothing of it.

use plotters::prelude::*;

use super::marker::Look;
use super::{Area, Drawn, FAINT, INK, Lines, from_the_left, text_style};

/// Pixels between two entries.
const PITCH: i32 = 26;
/// Where the names begin, in pixels from the left.
const NAMES: i32 = 52;

/// What the lines stand for, under a heading for each list that has points.
pub(super) fn draw(area: &Area<'_>, lists: [(&Lines, Look); 2]) -> Drawn {
    let mut y = 24;
    for (Lines { heading, remark, lines }, look) in lists {
        let lines: Vec<_> = lines.iter().enumerate().filter(|(_, line)| !line.points.is_empty()).collect();
        if lines.is_empty() {
            continue;
        }
        let bold = text_style(16, true, INK).pos(from_the_left());
        area.draw(&Text::new(heading.as_str(), (0, y), bold))?;
        if !remark.is_empty() {
            y += PITCH * 3 / 4;
            area.draw(&Text::new(
                remark.as_str(),
                (0, y),
                text_style(15, false, FAINT).pos(from_the_left()),
            ))?;
        }
        for (index, line) in lines {
            y += PITCH;
            entry(area, y, index, &line.name, look)?;
        }
        y += PITCH + PITCH / 2;
    }
    Ok(())
}

fn entry(area: &Area<'_>, y: i32, index: usize, name: &str, look: Look) -> Drawn {
    let dashes: &[(i32, i32)] = match look {
        Look::Solid => &[(2, 40)],
        Look::Dashed => &[(2, 9), (14, 21), (26, 33), (38, 42)],
    };
    for (from, to) in dashes {
        area.draw(&PathElement::new([(*from, y), (*to, y)], look.stroke(index)))?;
    }
    area.draw(&(EmptyElement::at((21, y)) + look.inside(index) + look.outline(index)))?;
    area.draw(&Text::new(name, (NAMES, y), text_style(16, false, INK).pos(from_the_left())))?;
    Ok(())
}
