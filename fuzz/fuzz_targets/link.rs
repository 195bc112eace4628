//! Linking an object as a kernel does, up to where memory would be written.
//!
//! ```text
//! input:  CHOICE VALUES REST
//! CHOICE  0: REST is the object; otherwise one of the seed objects, changed by the patches of
//!         REST, since bytes at random hardly ever give anything that can be laid out
//! VALUES  what the addresses of parts and imports are made from
//! patch:  KIND INDEX[2] FIELD VALUE[8]
//! ```

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use modfs_link::{Error, Import, Layout, PARTS, Part, Provided, Staging, link};
use modfs_object::{EM_X86_64, Object, Section, SectionKind};

/// Made by `cargo xtask fuzz-seeds --commit`.
const SEEDS: &[&[u8]] = &[
    include_bytes!("../seeds/object/odd.elf"),
    include_bytes!("../seeds/object/lib-gcc.elf"),
    include_bytes!("../seeds/object/user-clang.elf"),
    include_bytes!("../seeds/object/everything-gcc.elf"),
    include_bytes!("../seeds/object/everything-clang.elf"),
    include_bytes!("../seeds/object/parameters.elf"),
];
const PROVIDED: Provided = Provided {
    name: "__this_module",
    size: 384,
};
/// Images up to here are linked; the arena, which gives the addresses, has not much more.
const IMAGE: u64 = 16 << 20;
/// How many errors are told at most.
const ERRORS: usize = 256;

fuzz_target!(|data: &[u8]| -> Corpus {
    let [choice, values, rest @ ..] = data else {
        return Corpus::Reject;
    };
    let patched;
    let bytes = match usize::from(*choice) {
        0 => rest,
        choice => {
            patched = patch(SEEDS[(choice - 1) % SEEDS.len()], rest);
            &patched[..]
        }
    };
    let Ok(object) = Object::parse(bytes, EM_X86_64) else {
        return Corpus::Keep;
    };
    let layout = match Layout::new(&object, &[PROVIDED]) {
        Ok(layout) => layout,
        Err(errors) => {
            told(&errors);
            return Corpus::Keep;
        }
    };
    check_layout(&object, &layout);
    if Part::ALL.iter().any(|p| layout.extent(*p).size > IMAGE) {
        return Corpus::Keep;
    }
    let values = u64::from(*values);
    check_link(&object, &layout, values);
    Corpus::Keep
});

/// Every place is within its part, aligned, and nobody else's.
fn check_layout(object: &Object<'_>, layout: &Layout) {
    for part in Part::ALL {
        let extent = layout.extent(part);
        assert!(extent.filled <= extent.size);
        assert!(extent.align.is_power_of_two() && extent.align <= 4096);
        let mut places: Vec<(u64, u64)> = placed(object, layout)
            .filter(|(_, place, _)| *place == part)
            .map(|(section, _, offset)| {
                assert_eq!(offset % section.align, 0);
                (offset, offset + section.size)
            })
            .collect();
        places.sort_unstable();
        for pair in places.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "sections overlap: {pair:?}");
        }
        assert!(places.last().is_none_or(|last| last.1 <= extent.size));
    }
    for index in 0..object.symbols().len() {
        if let Some((part, offset)) = layout.symbol(object, index) {
            assert!(offset <= layout.extent(part).size);
        }
    }
    for fini in [false, true] {
        for (part, offset, len) in layout.constructors(object, fini) {
            assert!(offset + len <= layout.extent(part).size);
        }
    }
    if let Some((part, offset)) = layout.frames(object) {
        assert!(offset < layout.extent(part).size);
    }
}

fn check_link(object: &Object<'_>, layout: &Layout, values: u64) {
    let mut random = Random(values);
    // As an arena's: below 2 GiB, not overlapping.
    let bases: [u64; PARTS] =
        std::array::from_fn(|i| (i as u64 + 1) << 28 | random.next() & 0x0eff_f000);
    let import = |index: usize| {
        let mut random = Random(values ^ (index as u64) << 8);
        let (address, near) = (random.next(), random.next());
        match values % 4 {
            // As a kernel's.
            0 | 1 => Some(Import {
                address: address >> 17,
                near: Some(near & 0x7fff_ffff),
            }),
            // Whatever.
            _ => (!index.is_multiple_of(5)).then_some(Import {
                address,
                near: (!index.is_multiple_of(3)).then_some(near),
            }),
        }
    };
    let mut staging = Staging::default();
    let result = link(object, layout, &bases, import, &mut staging);
    for part in Part::ALL {
        let filled = layout.extent(part).filled;
        assert_eq!(staging.part(part).len() as u64, filled);
    }
    if let Err(errors) = result {
        told(&errors);
        return;
    }
    for (section, part, offset) in placed(object, layout) {
        if section.kind == SectionKind::Bytes && section.relocations().len() == 0 {
            let start = offset as usize;
            let staged = &staging.part(part)[start..start + section.data.len()];
            assert!(staged == section.data, "{} was changed", section.name);
        }
    }
    // What is in the staging from before makes no difference.
    let before = Part::ALL.map(|part| staging.part(part).to_vec());
    assert!(link(object, layout, &bases, import, &mut staging).is_ok());
    assert!(Part::ALL.map(|part| staging.part(part).to_vec()) == before);

    modfs_host::fuzz::parameters_of(object, layout, &bases, &staging);
}

fn placed<'a>(
    object: &'a Object<'_>,
    layout: &'a Layout,
) -> impl Iterator<Item = (&'a Section<'a>, Part, u64)> {
    let sections = object.sections().iter().enumerate();
    sections.filter_map(|(index, section)| {
        let (part, offset) = layout.section(index)?;
        Some((section, part, offset))
    })
}

fn told(errors: &[Error]) {
    assert!(!errors.is_empty() && errors.len() <= ERRORS);
    for error in errors {
        assert!(!error.to_string().is_empty());
    }
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// Offset and length of the fields of a structure (gABI).
type Fields = &'static [(usize, usize)];
const HEADER: Fields = &[(40, 8), (48, 4), (58, 2), (60, 2), (62, 2)];
const SECTION: Fields = &[
    (0, 4),
    (4, 4),
    (8, 8),
    (24, 8),
    (32, 8),
    (40, 4),
    (44, 4),
    (48, 8),
    (56, 8),
];
const SYMBOL: Fields = &[(0, 4), (4, 1), (5, 1), (6, 2), (8, 8), (16, 8)];
const RELOCATION: Fields = &[(0, 8), (8, 4), (12, 4), (16, 8)];
const WORD: Fields = &[(0, 8), (0, 4), (0, 2), (0, 1)];

/// A seed with fields of its structures set to other values.
fn patch(seed: &[u8], patches: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    let number = |at: usize, len: usize| {
        let mut number = [0; 8];
        number[..len].copy_from_slice(&seed[at..at + len]);
        u64::from_le_bytes(number) as usize
    };
    let headers = number(40, 8);
    let count = number(60, 2);
    for patch in patches.chunks_exact(12) {
        let index = usize::from(u16::from_le_bytes([patch[1], patch[2]]));
        // The tables of a type, as one.
        let entry = |kind: usize, size: usize| {
            let mut starts = (0..count)
                .map(|section| headers + 64 * section)
                .filter(|header| number(header + 4, 4) == kind)
                .flat_map(|header| {
                    let start = number(header + 24, 8);
                    (start..start + number(header + 32, 8)).step_by(size)
                });
            let len = starts.clone().count().max(1);
            starts.nth(index % len).unwrap_or(0)
        };
        let (base, fields) = match patch[0] % 8 {
            0 => (0, HEADER),
            1 | 2 => (headers + 64 * (index % count), SECTION),
            3 | 4 => (entry(2, 24), SYMBOL),
            5 | 6 => (entry(4, 24), RELOCATION),
            _ => (index % (seed.len() - 8), WORD),
        };
        let (at, len) = fields[usize::from(patch[3]) % fields.len()];
        bytes[base + at..][..len].copy_from_slice(&patch[4..4 + len]);
    }
    bytes
}
