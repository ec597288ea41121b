//! What was measured, to look at: tables as text, charts as SVG.

pub mod chart;
pub mod table;
