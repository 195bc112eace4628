//! `modfs/module.h`, `modfs/kmod.h`, `modfs/delay.h`.

use super::print::Message;
use super::variadic::{VaList, variadic};
use super::{HostExport, exports};
use crate::call::{HostSection, touch_stack, with_current};
use crate::cstruct::peek_words;
use crate::host::Loaded;
use modfs_core::{Gate, Id, Module};
use modfs_object::image::Header;
use std::ffi::{c_char, c_int, c_uint};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn table() -> impl IntoIterator<Item = HostExport> {
    exports![
        "try_module_get" = try_module_get,
        "module_put" = module_put,
        "module_refcount" = module_refcount,
        "request_module" = request_module,
        "msleep" = msleep,
    ]
}

variadic!(request_module, 1, "rsi", vrequest_module);

/// The use count of the module whose `struct module` is at an address.
fn gate_of(module: u64) -> Option<Arc<Gate>> {
    let [id, of_image] = peek_words(module)?;
    let _section = HostSection::enter();
    with_current(|host, owner| {
        let modules = host.modules();
        if Header::may_be(id) {
            let is_it = |(other, of): &(Id, &Module<Loaded>)| {
                let loaded = of.payload();
                other.get() == of_image && loaded.is_some_and(|loaded| loaded.is_headed(module))
            };
            if let Some((_, found)) = modules.iter().find(is_it) {
                return Some(found.gate().clone());
            }
        }
        // Nearly always it is the module's own.
        if owner.id.get() == id {
            return Some(owner.gate.clone());
        }
        let found = modules.iter().find(|(other, _)| other.get() == id);
        found.map(|(_, module)| module.gate().clone())
    })?
}

extern "C" fn try_module_get(module: u64) -> c_int {
    // NULL is the kernel, which never goes away.
    c_int::from(module == 0 || gate_of(module).is_some_and(|gate| gate.try_get()))
}

extern "C" fn module_put(module: u64) {
    if module == 0 {
        return;
    }
    if !gate_of(module).is_some_and(|gate| gate.put()) {
        let _section = HostSection::enter();
        with_current(|host, owner| {
            let text = format!("{}: module_put without a use to give back", owner.name);
            host.log.write(crate::Level::Warning, &text);
        });
    }
}

extern "C" fn module_refcount(module: u64) -> c_int {
    gate_of(module).map_or(0, |gate| {
        c_int::try_from(gate.count()).unwrap_or(c_int::MAX)
    })
}

unsafe extern "C" fn vrequest_module(fmt: *const c_char, list: *mut VaList) -> c_int {
    // SAFETY: the module's promise.
    let name = unsafe { Message::of(fmt, list) };
    let Ok(name) = std::str::from_utf8(name.bytes()) else {
        return -libc::EINVAL;
    };
    // No module code runs in here on this thread, so nothing in it can fault, if only the stack
    // is long enough.
    touch_stack();
    let result = with_current(|host, _| host.ask_for(name));
    match result {
        // As in 2.4, also when it was refused: whoever asks has to look again in any case.
        Some(Ok(_)) => 0,
        Some(Err(refusal)) => -refusal.errno.raw(),
        None => -libc::EINVAL,
    }
}

extern "C" fn msleep(milliseconds: c_uint) {
    std::thread::sleep(Duration::from_millis(milliseconds.into()));
}
