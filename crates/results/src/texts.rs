//! Texts that are read back, in the two forms in which files keep them.
//!
//! Results keep them as HDF5's own texts of variable length, which every other program shows as
//! such. Parts come from other machines, and there the library allocates and clears what a text
//! of variable length says it needs, up to 4 GiB, before it looks at what the file holds
//! (`H5T__conv_vlen` in HDF5 2.2.0). So parts keep their texts as plain bytes, whose number is
//! known before they are read.

use hdf5::types::VarLenUnicode;
use hdf5::{Dataset, Group, H5Type, Location};

use crate::hdf::{
    Fault, check_type, checked_text, describe, ensure, list_length, open_dataset, read_attribute,
    read_list, read_texts, text, texts, write_array, write_list_attribute, write_text_attribute,
    write_texts,
};
use crate::layout::LIST_MAX;

/// Ends every text among bytes; no text contains it.
const END: u8 = 0;
/// Most bytes of a text or a list of texts: far above any trial.
const BYTES_MAX: usize = 16 << 20;

/// How a file keeps the texts that are read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextForm {
    /// HDF5's texts of variable length.
    Native,
    /// A list of UTF-8 bytes, with a null behind each text.
    Bytes,
}

impl TextForm {
    /// The form of the file that has this text attribute. Nothing of the text is read.
    pub(crate) fn of(at: &Location, attribute: &str) -> Result<Self, Fault> {
        let found = at.attr(attribute)?.dtype()?.to_descriptor()?;
        let is_bytes = found == u8::type_descriptor();
        Ok(if is_bytes { Self::Bytes } else { Self::Native })
    }

    /// Writes a text as a dataset.
    pub(crate) fn write(self, group: &Group, name: &str, value: &str) -> Result<Dataset, Fault> {
        match self {
            Self::Native => {
                let builder = group.new_dataset::<VarLenUnicode>();
                let dataset = builder.obj_track_times(false).create(name)?;
                dataset.write_scalar(&text(value)?)?;
                Ok(dataset)
            }
            Self::Bytes => self.write_list(group, name, &[value]),
        }
    }

    /// Writes a list of texts as a dataset.
    pub(crate) fn write_list<S: AsRef<str>>(
        self,
        group: &Group,
        name: &str,
        values: &[S],
    ) -> Result<Dataset, Fault> {
        match self {
            Self::Native => write_texts(group, name, values),
            Self::Bytes => {
                let bytes = bytes(values)?;
                write_array(group, name, &[bytes.len()], &bytes)
            }
        }
    }

    /// Writes a text as an attribute.
    pub(crate) fn write_attribute(
        self,
        at: &Location,
        name: &str,
        value: &str,
    ) -> Result<(), Fault> {
        match self {
            Self::Native => write_text_attribute(at, name, value),
            Self::Bytes => write_list_attribute(at, name, &bytes(&[value])?),
        }
    }

    /// Writes a list of texts as an attribute.
    pub(crate) fn write_list_attribute<S: AsRef<str>>(
        self,
        at: &Location,
        name: &str,
        values: &[S],
    ) -> Result<(), Fault> {
        match self {
            Self::Native => write_list_attribute(at, name, &texts(values)?),
            Self::Bytes => write_list_attribute(at, name, &bytes(values)?),
        }
    }

    /// Reads a text that is a dataset.
    pub(crate) fn read(self, group: &Group, name: &str) -> Result<String, Fault> {
        match self {
            Self::Native => {
                let dataset = open_dataset(group, name)?;
                check_type::<VarLenUnicode>(&dataset, name)?;
                checked_text(&dataset.read_scalar()?, name)
            }
            Self::Bytes => single(self.read_list(group, name, 1)?, name),
        }
    }

    /// Reads a list of at most `most` texts.
    pub(crate) fn read_list(
        self,
        group: &Group,
        name: &str,
        most: usize,
    ) -> Result<Vec<String>, Fault> {
        match self {
            Self::Native => read_texts(group, name, most),
            Self::Bytes => split(&read_list(group, name, BYTES_MAX)?, name, most),
        }
    }

    /// Reads a text that is an attribute.
    pub(crate) fn read_attribute(self, at: &Location, name: &str) -> Result<String, Fault> {
        match self {
            Self::Native => checked_text(&read_attribute(at, name)?, name),
            Self::Bytes => single(self.read_list_attribute(at, name)?, name),
        }
    }

    /// Reads a list of at most [`LIST_MAX`] texts that is an attribute.
    pub(crate) fn read_list_attribute(
        self,
        at: &Location,
        name: &str,
    ) -> Result<Vec<String>, Fault> {
        let attribute = at.attr(name)?;
        match self {
            Self::Native => {
                check_type::<VarLenUnicode>(&attribute, name)?;
                list_length(&attribute, name, LIST_MAX)?;
                let values: Vec<VarLenUnicode> = attribute.read_raw()?;
                values.iter().map(|text| checked_text(text, name)).collect()
            }
            Self::Bytes => {
                check_type::<u8>(&attribute, name)?;
                list_length(&attribute, name, BYTES_MAX)?;
                split(&attribute.read_raw()?, name, LIST_MAX)
            }
        }
    }

    /// Says what a dataset holds.
    pub(crate) fn describe(
        self,
        dataset: &Dataset,
        units: &str,
        long_name: &str,
    ) -> Result<(), Fault> {
        match self {
            Self::Native => describe(dataset, units, long_name),
            Self::Bytes => {
                self.write_attribute(dataset, "units", units)?;
                self.write_attribute(dataset, "long_name", long_name)
            }
        }
    }
}

fn bytes<S: AsRef<str>>(texts: &[S]) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    for text in texts {
        let text = text.as_ref();
        ensure(!text.as_bytes().contains(&END), || {
            format!("text {text:?} has a null character")
        })?;
        bytes.extend(text.as_bytes());
        bytes.push(END);
    }
    Ok(bytes)
}

fn split(bytes: &[u8], name: &str, most: usize) -> Result<Vec<String>, Fault> {
    let mut texts = Vec::new();
    for piece in bytes.split_inclusive(|byte| *byte == END) {
        let text = piece.strip_suffix(&[END]);
        let text = text.ok_or_else(|| format!("{name} ends within a text"))?;
        let text = std::str::from_utf8(text).map_err(|_| format!("{name} is not UTF-8"))?;
        ensure(texts.len() < most, || {
            format!("{name} has more than {most} texts")
        })?;
        texts.push(text.to_owned());
    }
    Ok(texts)
}

fn single(texts: Vec<String>, name: &str) -> Result<String, Fault> {
    let [text]: [String; 1] = texts
        .try_into()
        .map_err(|texts: Vec<String>| format!("{name} has {} texts, not one", texts.len()))?;
    Ok(text)
}
