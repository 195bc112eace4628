//! What canvas exports.

/// What can be drawn.
#[repr(C)]
pub enum Shape {
    /// As large as it is.
    Point,
    /// Of a width and a height.
    Rectangle { width: u32, height: u32 },
}
