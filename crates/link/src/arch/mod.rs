//! What differs between machines.

pub mod x86_64;

/// What a relocation needs that only the layout can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing but the symbol's address.
    Address,
    /// An entry of the global offset table that holds the symbol's address.
    Got,
    /// The address of the global offset table itself.
    GotBase,
}

/// The values a relocation is computed from, named as in the psABIs.
#[derive(Clone, Copy, Debug)]
pub struct Values {
    /// S: the symbol's address.
    pub symbol: u64,
    /// S where it has to be near: the symbol's address, or that of a stub that jumps there.
    /// `None`: nothing of it is near.
    pub near: Option<u64>,
    /// A: the addend.
    pub addend: i64,
    /// P: the address of the place that is written.
    pub place: u64,
    /// G + GOT: the address of the symbol's entry in the global offset table.
    pub got_entry: u64,
    /// GOT: the address of the global offset table.
    pub got: u64,
    /// Z: the symbol's size, where [`Arch::wants_size`]; else 0.
    pub size: u64,
}

/// Why a relocation cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apply {
    /// The place is not within the section.
    Bounds,
    /// The value does not fit, or the symbol has nothing near.
    Range,
}

/// A machine's relocations.
pub trait Arch {
    /// `e_machine`.
    const MACHINE: u16;

    /// The psABI's name of a relocation; `None` for a number it does not define.
    fn name(kind: u32) -> Option<&'static str>;

    /// What a relocation needs; `Err` with what would help when modules cannot have it.
    ///
    /// # Errors
    /// Advice for the author of the module.
    fn need(kind: u32) -> Result<Need, &'static str>;

    /// Whether a relocation is computed from the symbol's size. Few are, and the symbol itself is
    /// not looked at for the others.
    fn wants_size(kind: u32) -> bool;

    /// Applies a relocation of a supported kind at `offset` of `section`.
    ///
    /// # Errors
    /// The place is outside the section, or the value out of range; nothing is written then.
    fn apply(kind: u32, section: &mut [u8], offset: u64, values: &Values) -> Result<(), Apply>;
}
