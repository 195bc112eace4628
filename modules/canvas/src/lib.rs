//! canvas: a function that takes an enumeration.
#![no_std]

pub mod shape;

use modfs_module::prelude::*;
use shape::Shape;

module! {
    type: Canvas,
    license: "Dual MIT/GPL",
    description: "Draws shapes",
}

export! {
    /// How many dots a shape is.
    pub fn canvas_dots(shape: &Shape) -> u32 {
        match shape {
            Shape::Point => 1,
            Shape::Rectangle { width, height } => *width as u32 * height,
        }
    }
}

struct Canvas;

impl Module for Canvas {
    fn init() -> Result<Canvas> {
        Ok(Canvas)
    }
}
