use alloc::string::String;

/// How many errors are told at most: a damaged object could have millions.
pub(crate) const MOST: usize = 256;
/// How many bytes of a name are told at most.
const LONGEST: usize = 256;

/// A name as a message tells it.
pub(crate) fn told(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.into();
    }
    let mut end = LONGEST;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    alloc::format!("{}...", &name[..end])
}

/// Why an object cannot be linked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No [`crate::Arch`] for this machine.
    #[error("ELF machine {0} is not supported")]
    Machine(u16),
    /// A part of the image would be absurdly large.
    #[error("too large: the image's {part} would be larger than {limit} bytes")]
    TooBig {
        /// The part.
        part: &'static str,
        /// The limit in bytes.
        limit: u64,
    },
    /// A section wants to be aligned to more than a page.
    #[error("section {section} wants an alignment of {align} bytes, more than a page")]
    Alignment {
        /// The section, or the common symbol.
        section: String,
        /// Its alignment in bytes.
        align: u64,
    },
    /// A relocation that modules cannot have.
    #[error("{section}: relocation {name} against {symbol}: {advice}")]
    Unsupported {
        /// The section it is in.
        section: String,
        /// The relocation's name, or its number.
        name: String,
        /// The symbol it is about.
        symbol: String,
        /// What would help.
        advice: &'static str,
    },
    /// A function whose address is computed at load.
    #[error("{0} is an indirect function (IFUNC), which cannot be in a module: choose at init")]
    Ifunc(String),
    /// A relocation outside its section.
    #[error("damaged: {section}+{offset:#x}: a relocation lies outside the section")]
    Bounds {
        /// The section.
        section: String,
        /// The offset it names.
        offset: u64,
    },
    /// A relocation in a section that has no bytes.
    #[error("damaged: section {0} holds only zeros, yet has relocations")]
    ZerosRelocated(String),
    /// The value does not fit.
    #[error(
        "{section}+{offset:#x}: {symbol} is out of reach of {name}: build with -fPIC (`modfs build` \
         does)"
    )]
    Range {
        /// The section.
        section: String,
        /// Where in it.
        offset: u64,
        /// The relocation's name.
        name: String,
        /// The symbol.
        symbol: String,
    },
    /// An import has no value.
    #[error("unresolved symbol {0}")]
    Unresolved(String),
    /// The symbol's section is not part of the image.
    #[error("{0} is in section {1}, which is not loaded")]
    NotLoaded(String, String),
    /// Constructors in a form that no current compiler makes for a module.
    #[error("section {0}: constructors of this form are not run: build with -fuse-init-array")]
    OldConstructors(String),
    /// A record of a parameter does not hold.
    #[error("damaged: entry {0} of section __param is not valid")]
    Parameter(usize),
}
