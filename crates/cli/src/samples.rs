//! The sample modules, in the program so that it shows them wherever it is.

/// Name and source of each, in an order in which they can be loaded.
pub(crate) const SAMPLES: [(&str, &str); 6] = [
    ("hello", include_str!("../../../modules/hello/hello.c")),
    ("echo", include_str!("../../../modules/echo/echo.c")),
    ("lib", include_str!("../../../modules/lib/lib.c")),
    ("user", include_str!("../../../modules/user/user.c")),
    ("visits", include_str!("../../../modules/visits/visits.c")),
    ("crash", include_str!("../../../modules/crash/crash.c")),
];
