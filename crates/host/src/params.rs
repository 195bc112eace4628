//! Storing the parameters of modules, and showing them.

use crate::fault::peek_string;
use crate::image::Image;
use modfs_core::{Errno, Refusal};
use modfs_link::{Param, ParamError, Type, Value};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::{Mutex, PoisonError};

/// The longest text shown of a string.
const STRING_MAX: usize = 4096;

/// EINVAL, or ERANGE.
pub(crate) fn refused(error: ParamError) -> Refusal {
    let errno = if error.out_of_range {
        Errno::ERANGE
    } else {
        Errno::EINVAL
    };
    Refusal::new(errno, error.reason)
}

/// Whether a parameter's variable is still there.
pub(crate) fn is_there(param: &Param, image: &Image) -> bool {
    image.with_data(param.address, |_, _| ()).is_some()
}

/// The parameters of a module.
#[derive(Debug)]
pub(crate) struct Params {
    pub(crate) list: Vec<Param>,
    /// What those of type string point at, by the pointer's address.
    strings: Mutex<BTreeMap<u64, CString>>,
}

impl Params {
    pub(crate) fn new(list: Vec<Param>) -> Params {
        let strings = Mutex::default();
        Params { list, strings }
    }

    /// Stores checked values of one of them.
    pub(crate) fn store(
        &self,
        image: &Image,
        param: &Param,
        values: Vec<Value>,
    ) -> Result<(), Refusal> {
        let given = values.len() as u32;
        for (index, value) in values.into_iter().enumerate() {
            let address = param.address + index as u64 * param.kind.size();
            match value {
                Value::Bytes(bytes) => write(image, param, address, &bytes)?,
                Value::String(string) => {
                    let pointer = (string.as_ptr() as u64).to_le_bytes();
                    write(image, param, address, &pointer)?;
                    // The string that was there before goes only now, when nothing points at
                    // it any more.
                    let mut strings = self.strings.lock().unwrap_or_else(PoisonError::into_inner);
                    strings.insert(address, string);
                }
            }
        }
        if param.count != 0 {
            write(image, param, param.count, &given.to_le_bytes())?;
        }
        Ok(())
    }
}

fn gone(param: &Param) -> Refusal {
    let text = format!("parameter {}: its variable was for init only", param.name);
    Refusal::new(Errno::ENOENT, text)
}

fn write(image: &Image, param: &Param, address: u64, bytes: &[u8]) -> Result<(), Refusal> {
    image
        .with_data(address, |block, offset| block.write(offset, bytes))
        .and_then(Result::ok)
        .ok_or_else(|| gone(param))
}

/// The value of a parameter as text.
pub(crate) fn show(image: &Image, param: &Param) -> Result<String, Refusal> {
    let read = |address: u64, bytes: &mut [u8]| {
        image
            .with_data(address, |block, offset| block.read(offset, bytes))
            .filter(|read| *read)
            .ok_or_else(|| gone(param))
    };
    let mut given = param.max;
    if param.count != 0 {
        let mut bytes = [0; 4];
        read(param.count, &mut bytes)?;
        given = u32::from_le_bytes(bytes).min(param.max);
    }
    let mut texts = Vec::new();
    for index in 0..u64::from(given) {
        let mut bytes = vec![0; param.kind.size() as usize];
        read(param.address + index * param.kind.size(), &mut bytes)?;
        texts.push(text_of(param.kind, &bytes));
    }
    Ok(texts.join(","))
}

pub(crate) fn text_of(kind: Type, bytes: &[u8]) -> String {
    let mut wide = [0; 8];
    let len = bytes.len().min(8);
    wide[..len].copy_from_slice(&bytes[..len]);
    let unsigned = u64::from_le_bytes(wide);
    let signed = (unsigned << (64 - 8 * len)) as i64 >> (64 - 8 * len);
    match kind {
        Type::Unsigned(_) => unsigned.to_string(),
        Type::Signed(_) | Type::Any(_) => signed.to_string(),
        Type::Hex => format!("{unsigned:#x}"),
        Type::Bool => if unsigned != 0 { "Y" } else { "N" }.into(),
        Type::InvBool => if unsigned == 0 { "Y" } else { "N" }.into(),
        Type::CharP if unsigned == 0 => "(null)".into(),
        Type::CharP => match peek_string(unsigned, STRING_MAX) {
            Some(text) => String::from_utf8_lossy(&text).into_owned(),
            None => format!("(a wild pointer, {unsigned:#x})"),
        },
        Type::Buffer(_) => {
            let end = bytes
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        }
    }
}
