"""Opens a result file in the programs people use and compares it with what Rust wrote.

Started by the tests of the crate `reseed-results`: test_result.py RESULT.h5 EXPECTED.json
"""

import json
import sys
import unittest

try:
    import h5netcdf
    import h5py
    import netCDF4
    import numpy as np
    import xarray as xr
except ImportError as error:
    sys.exit(
        f"{error}; install the packages with: python3 -m pip install "
        "--target target/python-tools --requirement tests/python/requirements.txt"
    )

RESULT, EXPECTED = sys.argv[1:3]
ENGINES = ("h5netcdf", "netcdf4")

with open(EXPECTED, encoding="utf-8") as file:
    expected = json.load(file)


def array(item, dtype):
    """An expected array; numbers that JSON lacks are texts."""
    return np.array([dtype(value) for value in item["values"]]).reshape(item["shape"])


class H5py(unittest.TestCase):
    def setUp(self):
        self.file = h5py.File(RESULT)
        self.addCleanup(self.file.close)

    def test_root(self):
        attributes = dict(self.file.attrs)
        for name, value in expected["attributes"].items():
            self.assertEqual(attributes.pop(name), value)
        self.assertEqual(attributes, {})
        self.assertEqual(self.file["trial"].asstr()[()], expected["trial"])
        self.assertEqual(list(self.file["arms"].asstr()), expected["arms"])
        self.assertEqual(list(self.file["strata"].asstr()), expected["strata"])
        np.testing.assert_array_equal(self.file["time/edges_days"], expected["edges_days"])
        np.testing.assert_array_equal(self.file["ranges"], expected["ranges"])
        shards = self.file["provenance/shards"]
        starts_and_ends = np.stack([shards["start"], shards["end"]], axis=1)
        np.testing.assert_array_equal(starts_and_ends, expected["shards"])

    def test_tallies(self):
        for name, item in expected["tallies"].items():
            with self.subTest(name):
                dataset = self.file["tally"][name]
                self.assertEqual(dataset.dtype, np.uint64)
                np.testing.assert_array_equal(dataset, array(item, int))

    def test_every_axis_has_a_scale_that_knows_its_arrays(self):
        for name, item in expected["estimates"].items():
            with self.subTest(name):
                dataset = self.file["estimates"][name]
                scales = [dimension[0] for dimension in dataset.dims]
                axes = [scale.name.removeprefix("/estimates/") for scale in scales]
                self.assertEqual(axes, item["axes"])
                for at, scale in enumerate(scales):
                    self.assertTrue(scale.is_scale)
                    self.assertTrue(h5py.h5ds.is_attached(dataset.id, scale.id, at))


class Xarray(unittest.TestCase):
    def open(self, engine, group):
        dataset = xr.open_dataset(RESULT, engine=engine, group=group)
        self.addCleanup(dataset.close)
        return dataset

    def test_estimates(self):
        for engine in ENGINES:
            dataset = self.open(engine, "estimates")
            self.assertEqual(set(dataset.data_vars), set(expected["estimates"]))
            for name, item in expected["estimates"].items():
                with self.subTest(name, engine=engine):
                    variable = dataset[name]
                    self.assertEqual(list(variable.dims), item["axes"])
                    self.assertEqual(variable.dtype, np.float64)
                    self.assertEqual(variable.attrs["units"], "1")
                    self.assertTrue(variable.attrs["long_name"])
                    np.testing.assert_array_equal(variable, array(item, float))

    def test_labels(self):
        for engine in ENGINES:
            with self.subTest(engine):
                dataset = self.open(engine, "estimates")
                self.assertEqual(list(dataset.arm.values), expected["arms"])
                self.assertEqual(list(dataset.stratum.values), ["all", *expected["strata"]])
                endpoints = ["local", "distant", "rfs", "death"]
                self.assertEqual(list(dataset.endpoint.values), endpoints)
                np.testing.assert_array_equal(dataset.time, expected["edges_days"][1:])
                self.assertEqual(dataset.time.dtype, np.float64)
                self.assertEqual(dataset.time.attrs["units"], "day")

    def test_selecting_by_label(self):
        item = expected["estimates"]["difference"]
        by_position = array(item, float)[0, 0, 2, 7]
        for engine in ENGINES:
            with self.subTest(engine):
                difference = self.open(engine, "estimates").difference
                value = difference.sel(
                    stratum="all", arm=expected["arms"][0], endpoint="rfs"
                ).sel(time=8 * 30.4375, method="nearest")
                np.testing.assert_array_equal(value, by_position)
                control = difference.sel(arm=expected["arms"][expected["control"]])
                self.assertTrue(np.isnan(control).all())

    def test_tallies(self):
        for engine in ENGINES:
            dataset = self.open(engine, "tally")
            for name, item in expected["tallies"].items():
                if "/" in name:
                    continue
                with self.subTest(name, engine=engine):
                    self.assertEqual(list(dataset[name].dims), item["axes"])
                    np.testing.assert_array_equal(dataset[name], array(item, int))
            enrolled = dataset.first_event.sum(["cause", "bin"])
            self.assertTrue((enrolled == dataset.enrolled).all())

    def test_tumour_histograms(self):
        for engine in ENGINES:
            for name, item in expected["tallies"].items():
                if not name.startswith("tumour/"):
                    continue
                with self.subTest(name, engine=engine):
                    group = name.removesuffix("/patients")
                    dataset = self.open(engine, f"tally/{group}")
                    self.assertEqual(list(dataset.patients.dims), ["stratum", "lower"])
                    np.testing.assert_array_equal(dataset.patients, array(item, int))
                    np.testing.assert_array_equal(dataset.upper[:-1], dataset.lower[1:])

    def test_patients(self):
        for engine in ENGINES:
            dataset = self.open(engine, "patients")
            self.assertEqual(set(dataset.variables) - {"arm"}, set(expected["records"]))
            self.assertEqual(list(dataset.arm.values), expected["arms"])
            for name, item in expected["records"].items():
                with self.subTest(name, engine=engine):
                    axes = ["index", "arm"][: len(item["shape"])]
                    self.assertEqual(list(dataset[name].dims), axes)
                    self.assertEqual(dataset[name].attrs["units"], item["units"])
                    np.testing.assert_array_equal(dataset[name], array(item, float))

    def test_the_whole_file_as_a_tree(self):
        for engine in ENGINES:
            with self.subTest(engine):
                options = {"phony_dims": "sort"} if engine == "h5netcdf" else {}
                tree = xr.open_datatree(RESULT, engine=engine, **options)
                self.addCleanup(tree.close)
                self.assertIn("cumulative_incidence", tree["estimates"])


class Others(unittest.TestCase):
    def test_netcdf4_and_h5netcdf_directly(self):
        with netCDF4.Dataset(RESULT) as file:
            self.assertEqual(file.format, expected["attributes"]["format"])
            self.assertEqual(file["estimates"].dimensions["arm"].size, len(expected["arms"]))
        with h5netcdf.File(RESULT, phony_dims="sort") as file:
            self.assertEqual(file["estimates"].dimensions["arm"].size, len(expected["arms"]))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
