//! The sample modules that the demo uses, in the program so that it shows them wherever it is.

/// A sample: its name, and its files by their paths in its folder.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// The sample that it is built against.
    pub(crate) against: Option<&'static str>,
}

/// Takes each file's text from the tree at build time.
macro_rules! sample {
    ($name:literal, $($path:literal),* $(; against $against:literal)?) => {
        Sample {
            name: $name,
            files: &[$((
                $path,
                include_str!(concat!("../../../modules/", $name, "/", $path)),
            )),*],
            against: [$(Some($against),)? None][0],
        }
    };
}

/// Each after those it uses.
pub(crate) const SAMPLES: [Sample; 14] = [
    sample!("hello", "hello.c"),
    sample!("echo", "echo.c"),
    sample!("lib", "lib.c"),
    sample!("user", "user.c"),
    sample!("visits", "visits.c"),
    sample!("crash", "crash.c"),
    sample!("tally", "Cargo.toml", "src/lib.rs"),
    sample!("guest", "guest.c"),
    sample!("rd", "rd.c"),
    sample!("ramfs", "Cargo.toml", "src/lib.rs"),
    sample!("area", "area.h", "area.c"),
    sample!("wall", "wall.c"; against "area"),
    sample!("canvas", "Cargo.toml", "src/lib.rs", "src/shape.rs"),
    sample!("painter", "Cargo.toml", "src/lib.rs"; against "canvas"),
];
