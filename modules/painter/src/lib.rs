//! painter: is built against canvas, and so only goes with a canvas whose enumeration is the same.
#![no_std]

#[path = "../../canvas/src/shape.rs"]
pub mod shape;

use modfs_module::prelude::*;
use shape::Shape;

module! {
    type: Painter,
    license: "Dual MIT/GPL",
    description: "Draws by canvas",
}

unsafe extern "C" {
    safe fn canvas_dots(shape: &Shape) -> u32;
}

struct Painter;

impl Module for Painter {
    fn init() -> Result<Painter> {
        let shapes = [Shape::Point, Shape::Rectangle { width: 6, height: 7 }];
        let dots: u32 = shapes.iter().map(|shape| canvas_dots(shape)).sum();
        info!("painter: {dots} dots");
        Ok(Painter)
    }
}
