//! Virtual files.

use crate::sys::{self, SeqFile};
use crate::{Errno, Result};
use alloc_crate::boxed::Box;
use alloc_crate::ffi::CString;
use alloc_crate::sync::Arc;
use core::ffi::{c_int, c_void};
use core::fmt::{self, Write};
use core::slice;

/// The text that a file is to have: write to it, `writeln!(text, …)`. What does not fit makes the
/// host call again with more room, so an error of writing means nothing.
#[derive(Debug)]
pub struct Text<'a>(&'a mut SeqFile);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the host's structure for this call of `show`, and as many bytes.
        unsafe { sys::seq_write(self.0, text.as_ptr(), text.len()) };
        Ok(())
    }
}

type Show = dyn Fn(&mut Text<'_>) -> Result + Send + Sync;
type Store = dyn Fn(&[u8]) -> Result<usize> + Send + Sync;

struct Functions {
    show: Box<Show>,
    store: Option<Box<Store>>,
}

/// A registered file; dropping it removes the file, once nobody is in its functions.
#[derive(Debug)]
pub struct ProcFile {
    entry: *mut c_void,
    functions: *const Functions,
}

// SAFETY: the functions may be called from, and dropped on, any thread; the entry is a number.
unsafe impl Send for ProcFile {}
// SAFETY: there is nothing to do with a shared one.
unsafe impl Sync for ProcFile {}

impl ProcFile {
    /// A file that `show` gives the text of, each time it is opened.
    ///
    /// # Errors
    /// EINVAL: the name. EEXIST: it is taken.
    pub fn new(
        name: &str,
        show: impl Fn(&mut Text<'_>) -> Result + Send + Sync + 'static,
    ) -> Result<ProcFile> {
        ProcFile::create(name, Box::new(show), None)
    }

    /// A file that can be written too: `store` gets what is written, and returns how much of it
    /// it took.
    ///
    /// # Errors
    /// As [`ProcFile::new`].
    pub fn writable(
        name: &str,
        show: impl Fn(&mut Text<'_>) -> Result + Send + Sync + 'static,
        store: impl Fn(&[u8]) -> Result<usize> + Send + Sync + 'static,
    ) -> Result<ProcFile> {
        ProcFile::create(name, Box::new(show), Some(Box::new(store)))
    }

    fn create(name: &str, show: Box<Show>, store: Option<Box<Store>>) -> Result<ProcFile> {
        let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
        let store_function: Option<sys::Store> = store.is_some().then_some(call_store as _);
        let functions = Arc::into_raw(Arc::new(Functions { show, store }));
        // SAFETY: the functions stay for as long as the registration: `Drop` takes it back.
        let entry = unsafe {
            sys::modfs_proc_create(
                name.as_ptr(),
                0,
                call_show,
                store_function,
                functions.cast_mut().cast(),
            )
        };
        if entry.is_null() {
            // SAFETY: nobody got to know of them.
            drop(unsafe { Arc::from_raw(functions) });
            return Err(Errno::EEXIST);
        }
        Ok(ProcFile { entry, functions })
    }
}

impl Drop for ProcFile {
    fn drop(&mut self) {
        // SAFETY: what `create` registered; when it returns nobody is in the functions, except
        // this thread perhaps, and each call keeps them.
        unsafe {
            sys::proc_remove(self.entry);
            drop(Arc::from_raw(self.functions));
        }
    }
}

/// The functions of a file, kept for a call: they may remove their own file.
///
/// # Safety
/// `data` is what a file was made with that is not removed yet.
unsafe fn kept(data: *mut c_void) -> Arc<Functions> {
    let functions = data.cast::<Functions>().cast_const();
    // SAFETY: the caller's: the file has one count of it.
    unsafe {
        Arc::increment_strong_count(functions);
        Arc::from_raw(functions)
    }
}

unsafe extern "C-unwind" fn call_show(seq: *mut SeqFile, data: *mut c_void) -> c_int {
    // SAFETY: the host's promise: a structure for this call, and what the file was made with.
    let (text, functions) = unsafe { (&mut *seq, kept(data)) };
    match (functions.show)(&mut Text(text)) {
        Ok(()) => 0,
        Err(errno) => -errno.raw(),
    }
}

unsafe extern "C-unwind" fn call_store(data: *mut c_void, text: *const u8, size: usize) -> isize {
    // SAFETY: the host's promise: what the file was made with, and as many bytes.
    let (functions, text) = unsafe {
        (
            &*data.cast::<Functions>(),
            slice::from_raw_parts(text, size),
        )
    };
    let result = functions
        .store
        .as_ref()
        .map_or(Err(Errno::EINVAL), |store| store(text));
    match result {
        Ok(taken) => isize::try_from(taken).unwrap_or(isize::MAX),
        Err(errno) => -(errno.raw() as isize),
    }
}
