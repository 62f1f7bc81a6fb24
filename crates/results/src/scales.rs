//! Dimension scales: labels of axes as HDF5's dimension-scale convention stores them, so that
//! xarray, netCDF and h5py show an array with named, labelled axes.
//!
//! The convention is a set of attributes (HDF5 Dimension Scale Specification, The HDF Group):
//! a scale has `CLASS` and `NAME`; an array has `DIMENSION_LIST`, one list of references to
//! scales per axis; and a scale lists the arrays that use it in `REFERENCE_LIST`.

use std::collections::BTreeMap;

use hdf5::types::{FixedAscii, VarLenArray};
use hdf5::{Dataset, Datatype, Group, H5Type, ObjectReference1};

use crate::hdf::{Fault, ensure, write_list_attribute, write_text_attribute};

const CLASS: &str = "DIMENSION_SCALE";
/// Length of `CLASS` with its null.
const CLASS_LEN: usize = 16;

/// An entry of a scale's `REFERENCE_LIST`; names and order are the convention's.
#[derive(H5Type, Clone, Copy)]
#[repr(C)]
struct Use {
    dataset: ObjectReference1,
    dimension: i32,
}

/// The scales of one group.
pub(crate) struct Scales<'a> {
    group: &'a Group,
    scales: BTreeMap<String, Scale>,
}

struct Scale {
    dataset: Dataset,
    uses: Vec<Use>,
}

impl<'a> Scales<'a> {
    /// A group without scales.
    pub(crate) fn new(group: &'a Group) -> Self {
        Self {
            group,
            scales: BTreeMap::new(),
        }
    }

    /// Makes a dataset of the group the scale of an axis.
    pub(crate) fn add(&mut self, name: &str, dataset: Dataset) -> Result<(), Fault> {
        let class = FixedAscii::<CLASS_LEN>::from_ascii(CLASS.as_bytes())
            .map_err(|error| Fault::Problem(error.to_string()))?;
        dataset
            .new_attr_builder()
            .with_data_as(ndarray::arr0(class).view(), &null_terminated_text()?)
            .create("CLASS")?;
        write_text_attribute(&dataset, "NAME", name)?;
        self.scales.insert(
            name.to_owned(),
            Scale {
                dataset,
                uses: Vec::new(),
            },
        );
        Ok(())
    }

    /// Names the axes of a dataset of the group.
    pub(crate) fn attach(
        &mut self,
        dataset: &Dataset,
        path: &str,
        axes: &[&str],
    ) -> Result<(), Fault> {
        let shape = dataset.shape();
        ensure(shape.len() == axes.len(), || {
            format!("{path} has {} axes, not {}", shape.len(), axes.len())
        })?;
        let own: ObjectReference1 = self.group.reference(path)?;
        let mut lists = Vec::with_capacity(axes.len());
        for (dimension, axis) in axes.iter().enumerate() {
            let scale = self
                .scales
                .get_mut(*axis)
                .ok_or_else(|| Fault::Problem(format!("axis {axis} of {path} has no scale")))?;
            ensure(scale.dataset.size() == shape[dimension], || {
                format!("axis {axis} of {path} has {} values", shape[dimension])
            })?;
            let reference: ObjectReference1 = self.group.reference(axis)?;
            lists.push(VarLenArray::from_slice(&[reference]));
            scale.uses.push(Use {
                dataset: own,
                dimension: i32::try_from(dimension).unwrap_or(i32::MAX),
            });
        }
        write_list_attribute(dataset, "DIMENSION_LIST", &lists)
    }

    /// Writes down who uses which scale.
    pub(crate) fn finish(self) -> Result<(), Fault> {
        for scale in self.scales.values().filter(|scale| !scale.uses.is_empty()) {
            write_list_attribute(&scale.dataset, "REFERENCE_LIST", &scale.uses)?;
        }
        Ok(())
    }
}

/// The type the convention asks of `CLASS`: 16 bytes of ASCII that end with a null. Readers
/// with HDF5 before 2.2 take nothing else for a scale, and the safe wrapper's texts of fixed
/// length are padded with nulls instead, which is another type. A failure of either call shows
/// when the type is used.
fn null_terminated_text() -> Result<Datatype, Fault> {
    let _library = hdf5_sys::LOCK.lock();
    #[expect(
        unsafe_code,
        reason = "the wrapper cannot make this type; the calls below only copy a predefined type \
                  and set the size of the copy, under the library's lock, and the identifier is \
                  new, so that `from_id` is its only owner"
    )]
    unsafe {
        let id = hdf5_sys::h5t::H5Tcopy(*hdf5_sys::h5t::H5T_C_S1);
        hdf5_sys::h5t::H5Tset_size(id, CLASS_LEN);
        Ok(hdf5::from_id(id)?)
    }
}
