//! The listings of 2.4: `/proc/modules` and `/proc/ksyms`, byte for byte (linux-2.4, kernel/module.c),
//! but for one thing: they are not cut off after a page.

use crate::host::Shared;
use crate::kernel::status_of;
use modfs_core::{Flags, KERNEL, Kernel, State, Status};
use std::fmt::Write;

impl Shared {
    /// The modules that are mapped, the newest first.
    pub(crate) fn mapped(&self) -> Vec<(String, Status)> {
        let modules = self.modules();
        let one = |(id, module): (_, &modfs_core::Module<_>)| {
            Some((module.name().to_string(), status_of(&modules, id)?))
        };
        modules.iter().filter_map(one).collect()
    }

    /// What `/proc/modules` reads.
    pub(crate) fn proc_modules(&self) -> String {
        let mapped = self.mapped();
        mapped
            .iter()
            .map(|(name, status)| modules_line(name, status))
            .collect()
    }

    /// What `/proc/ksyms` reads; without addresses for those who may not know them.
    pub(crate) fn proc_ksyms(&self, privileged: bool) -> String {
        let mut text = String::new();
        let mapped = self.mapped();
        let can_query =
            |status: &Status| matches!(status.state, State::Running | State::Initializing);
        let modules = mapped
            .iter()
            .filter(|(_, status)| can_query(status))
            .map(|(name, _)| name.as_str());
        for module in modules.chain([KERNEL]) {
            let owner = match module {
                KERNEL => String::new(),
                module => format!("\t[{module}]"),
            };
            for symbol in self.symbols(module) {
                let address = if privileged { symbol.address } else { 0 };
                let gpl = if symbol.gpl { "GPLONLY_" } else { "" };
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{address:016x} {gpl}{}{owner}", symbol.name);
            }
        }
        text
    }
}

fn modules_line(name: &str, status: &Status) -> String {
    let mut line = format!("{name:<20}{:>8}", status.size);
    match status.state {
        State::Running => {
            let _ = write!(line, "{:>4}", status.usecount);
            if status.flags.contains(Flags::AUTOCLEAN) {
                line += " (autoclean)";
            }
            if !status.flags.contains(Flags::USED_ONCE) {
                line += " (unused)";
            }
        }
        // What faulted can never be used again, as what was being deleted.
        State::Exiting | State::Deleted | State::Faulted => line += " (deleted)",
        State::Initializing => line += " (initializing)",
        State::Uninitialized => line += " (uninitialized)",
    }
    if !status.refs.is_empty() {
        let _ = write!(line, " [{}]", status.refs.join(" "));
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, state: State, flags: Flags, refs: &[&str]) -> String {
        let status = Status {
            file: "module".into(),
            pieces: Vec::new(),
            state,
            address: 0,
            size: 656,
            usecount: 0,
            flags,
            deps: Vec::new(),
            refs: refs.iter().map(|name| (*name).to_owned()).collect(),
        };
        modules_line(name, &status)
    }

    #[test]
    fn lines_of_proc_modules() {
        let none = Flags::default();
        assert_eq!(
            line("t1", State::Running, Flags::USED_ONCE, &["t2"]),
            "t1                       656   0 [t2]\n"
        );
        assert_eq!(
            line("t2", State::Running, Flags::AUTOCLEAN, &[]),
            "t2                       656   0 (autoclean) (unused)\n"
        );
        assert_eq!(
            line("a_name_of_twenty_chars", State::Uninitialized, none, &[]),
            "a_name_of_twenty_chars     656 (uninitialized)\n"
        );
        assert_eq!(
            line("x", State::Initializing, none, &["b", "a"]),
            "x                        656 (initializing) [b a]\n"
        );
        assert_eq!(
            line("x", State::Deleted, none, &[]),
            "x                        656 (deleted)\n"
        );
    }
}
