//! Where symbols are declared, and what is around types.

// As the standard calls its constants.
#![allow(non_upper_case_globals)]

use crate::Error;
use crate::describe::{At, DEEPEST, Die, Reader, is_flag, is_parameter};
use gimli::constants::*;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Names of what is around a type are no longer.
const LONGEST: usize = 1024;

/// How good a declaration of a symbol is; the least is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Definition,
    Declaration,
    /// Of what may only be called the same.
    LocalDefinition,
}

/// What is around an entry: how deep it is, and the names of what is around it, each with `::`.
struct Around {
    depth: isize,
    /// `None`: no names reach from there.
    outer: Option<Rc<str>>,
    own: String,
    /// With its own name; made for the first that is within.
    inner: Option<Rc<str>>,
}

impl Around {
    fn inner(&mut self) -> Option<Rc<str>> {
        let outer = self.outer.as_ref()?;
        let inner = self.inner.get_or_insert_with(|| {
            match self.own.is_empty() || outer.len() + self.own.len() > LONGEST {
                true => Rc::clone(outer),
                false => format!("{outer}{}::", self.own).into(),
            }
        });
        Some(Rc::clone(inner))
    }
}

impl<'a> Reader<'_, 'a> {
    /// Goes through all units: where each symbol is declared, of those that are, and what is around types.
    pub(crate) fn find<'n>(
        &mut self,
        symbols: impl IntoIterator<Item = &'n str>,
    ) -> Result<BTreeMap<&'n str, At>, Error> {
        let wanted = symbols.into_iter().map(|name| (name, None));
        let mut wanted: HashMap<&str, Option<(Rank, At)>> = wanted.collect();
        for unit in 0..self.units.len() {
            let mut around: Vec<Around> = Vec::new();
            let nothing: Rc<str> = "".into();
            let mut entries = self.units[unit].entries();
            while let Some(die) = entries.next_dfs()? {
                let depth = die.depth();
                while around.last().is_some_and(|outer| outer.depth >= depth) {
                    around.pop();
                }
                if around.len() > DEEPEST {
                    return Err(Error::Endless("what is within others".to_owned()));
                }
                let at = At::of(unit, die);
                let scope = match around.last_mut() {
                    Some(outer) => outer.inner(),
                    None => Some(Rc::clone(&nothing)),
                };
                match die.tag() {
                    DW_TAG_base_type | DW_TAG_pointer_type => self.has_types[unit] = true,
                    DW_TAG_subprogram | DW_TAG_variable => {
                        if scope.is_some() {
                            self.note(&mut wanted, at, die)?;
                        }
                        around.push(Around {
                            depth,
                            outer: None,
                            own: String::new(),
                            inner: None,
                        });
                    }
                    DW_TAG_namespace
                    | DW_TAG_module
                    | DW_TAG_structure_type
                    | DW_TAG_class_type
                    | DW_TAG_union_type
                    | DW_TAG_enumeration_type
                    | DW_TAG_typedef => {
                        let outer = scope.unwrap_or_else(|| Rc::clone(&nothing));
                        if !outer.is_empty() {
                            self.scopes.insert(at, Rc::clone(&outer));
                        }
                        around.push(Around {
                            depth,
                            outer: Some(outer),
                            own: self.name(at, die)?.unwrap_or_default(),
                            inner: None,
                        });
                    }
                    _ => {}
                }
            }
        }
        let mut found = BTreeMap::new();
        for (name, at) in wanted {
            if let Some((_, at)) = at
                && self.is_told(at)?
            {
                found.insert(name, at);
            }
        }
        Ok(found)
    }

    /// Whether an entry says how something is declared. Where only lines are told (-g1, `line-tables-only`) a function has
    /// no type and no parameters, as one that has none.
    fn is_told(&self, at: At) -> Result<bool, Error> {
        let die = self.die(at)?;
        Ok(self.has_types[at.unit]
            || die.tag() != DW_TAG_subprogram
            || self.inherited(at, &die, DW_AT_prototyped)?.is_some()
            || self.type_at(at, &die)?.is_some()
            || self.children(at)?.iter().any(is_parameter))
    }

    fn note(
        &self,
        wanted: &mut HashMap<&str, Option<(Rank, At)>>,
        at: At,
        die: &Die<'a>,
    ) -> Result<(), Error> {
        let mut name = None;
        for attribute in [DW_AT_linkage_name, DW_AT_MIPS_linkage_name, DW_AT_name] {
            name = self.inherited(at, die, attribute)?;
            if name.is_some() {
                break;
            }
        }
        let Some((of, name)) = name else {
            return Ok(());
        };
        let name = self.string(of.unit, name)?;
        let Some(best) = wanted.get_mut(name.as_str()) else {
            return Ok(());
        };
        let external = self.inherited(at, die, DW_AT_external)?;
        let rank = match (is_flag(die, DW_AT_declaration), external) {
            (true, _) => Rank::Declaration,
            (false, None) => Rank::LocalDefinition,
            (false, Some(_)) => Rank::Definition,
        };
        if best.is_none_or(|(before, _)| rank < before) {
            *best = Some((rank, at));
        }
        Ok(())
    }
}
