//! Other programs read results: h5py, xarray with its two HDF5 engines.
