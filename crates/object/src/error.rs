use alloc::string::String;

/// Why a file is not an object that can be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No ELF magic.
    #[error("not an ELF object: it does not begin with \\x7fELF")]
    NotElf,
    /// Shorter than an ELF header.
    #[error("truncated: {0} bytes are less than an ELF header")]
    Short(usize),
    /// 32-bit, or an unknown class.
    #[error("ELF class {0} is not taken here: build for a 64-bit machine")]
    Class(u8),
    /// Big-endian, or an unknown byte order.
    #[error("ELF byte order {0} is not taken here: build for a little-endian machine")]
    Endian(u8),
    /// Not a relocatable object.
    #[error("{0}: build a relocatable object (`cc -c`, `ld -r`, `modfs build`)")]
    NotRelocatable(&'static str),
    /// For another machine.
    #[error("built for ELF machine {found}, this kernel is machine {wanted}")]
    Machine {
        /// `e_machine` of the file.
        found: u16,
        /// `e_machine` that can be linked here.
        wanted: u16,
    },
    /// The section table cannot be read.
    #[error("truncated or damaged: {0}")]
    Damaged(&'static str),
    /// A section is not within the file.
    #[error("truncated or damaged: section {index} ({name}) lies outside the file")]
    SectionBounds {
        /// Its index.
        index: usize,
        /// Its name.
        name: String,
    },
    /// Two sections share bytes of the file.
    #[error("damaged: sections {0} and {1} overlap in the file")]
    Overlap(String, String),
    /// A section's alignment is not a power of two.
    #[error("damaged: section {0} has alignment {1}, which is not a power of two")]
    Alignment(String, u64),
    /// A name is not UTF-8, or lies outside its string table.
    #[error("damaged: the name of {what} {index} cannot be read")]
    Name {
        /// "section" or "symbol".
        what: &'static str,
        /// Its index.
        index: usize,
    },
    /// A symbol is in a section that does not exist.
    #[error("damaged: symbol {symbol} is in section {section}, which does not exist")]
    SymbolSection {
        /// Its name.
        symbol: String,
        /// The section it names.
        section: usize,
    },
    /// A symbol lies outside its section.
    #[error("damaged: symbol {symbol} lies outside its section {section}")]
    SymbolBounds {
        /// Its name.
        symbol: String,
        /// Its section.
        section: String,
    },
    /// A relocation section belongs to a section that does not exist.
    #[error("damaged: relocation section {0} belongs to no section")]
    RelocationTarget(String),
    /// A relocation names a symbol that does not exist.
    #[error("damaged: a relocation of {section} names symbol {symbol}, which does not exist")]
    RelocationSymbol {
        /// The section it is applied to.
        section: String,
        /// The symbol index it names.
        symbol: usize,
    },
    /// Relocations without addends.
    #[error("section {0} holds relocations without addends (SHT_REL), which this machine has not")]
    Rel(String),
    /// Thread-local storage.
    #[error(
        "thread-local variables ({0}) cannot be in a module: keep per-thread data in the host, or \
         in a structure that callers pass"
    )]
    ThreadLocal(String),
    /// Bitcode for link-time optimisation in place of code.
    #[error("holds no code yet, only what link-time optimisation works on: build with -fno-lto")]
    Lto,
    /// A section that is both writable and executable.
    #[error("section {0} is both writable and executable: no page may be")]
    WriteExec(String),
}
