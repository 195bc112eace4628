//! An export by which modules tell the test what they have done.

use modfs_host::{Host, HostExport};
use std::cell::RefCell;
use std::ffi::{CStr, c_char};

thread_local! {
    static RECORDS: RefCell<Vec<(String, i64)>> = const { RefCell::new(Vec::new()) };
}

/// `void record(const char *what, long value)`: a module's code runs on the thread that had it
/// started or stopped.
extern "C" fn record(what: *const c_char, value: i64) {
    // SAFETY: the tests' modules pass strings.
    let what = unsafe { CStr::from_ptr(what) }.to_string_lossy();
    RECORDS.with_borrow_mut(|records| records.push((what.into_owned(), value)));
}

/// Exports `record`.
pub(crate) fn export(host: &Host) {
    host.export(&[HostExport::function("record", record as *const ())])
        .expect("export");
}

/// What modules have recorded on this thread since the last call.
pub(crate) fn take() -> Vec<(String, i64)> {
    RECORDS.take()
}
