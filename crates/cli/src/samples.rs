//! The sample modules that the demo uses, in the program so that it shows them wherever it is.

/// A sample: its name, and its files by their paths in its folder.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) files: &'static [(&'static str, &'static str)],
}

/// Takes each file's text from the tree at build time.
macro_rules! sample {
    ($name:literal, $($path:literal),*) => {
        Sample {
            name: $name,
            files: &[$((
                $path,
                include_str!(concat!("../../../modules/", $name, "/", $path)),
            )),*],
        }
    };
}

/// Each after those it uses.
pub(crate) const SAMPLES: [Sample; 10] = [
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
];
