#!/usr/bin/env python3
"""Would a search at diagnosis that finds smaller metastases than symptoms do move the peak of the hazard?

    PATH=$PWD/target/release:$PATH deploy/with-tools --python docs/calibration/staging.py

The model has one size of detection. A patient's streams of random numbers do not depend on it, so the
patients of docs/calibration/breast.toml who are free of metastases of a smaller size at diagnosis are those who are
enrolled in a run with that size; when they recur is told by the run with the preset's own.
"""

import pathlib
import subprocess
import tempfile
import tomllib

import h5py
import numpy as np

from hazard_peaks import GRID_YEARS, kernel

TRIAL = pathlib.Path(__file__).with_name("breast.toml").read_text(encoding="utf-8")
PRESET = pathlib.Path(__file__).parents[2] / "crates/trial/presets/breast.toml"
PATIENTS = 150_000
DISTANT = 1
BIN_YEARS = 0.02
HORIZON_YEARS = 8


def main():
    distant_cells = tomllib.loads(PRESET.read_text(encoding="utf-8"))["detection"]["distant_cells"]
    print("smaller by  enrolled  peak, years")
    with tempfile.TemporaryDirectory() as folder:
        index, event, years = patients(folder, distant_cells)
        for fold in (1, 3, 10, 30):
            same = index if fold == 1 else patients(folder, distant_cells / fold)[0]
            enrolled = np.isin(index, same)
            found = peak(event[enrolled], years[enrolled])
            print(f"{fold:10}  {enrolled.sum():8,}  {found:11.2f}")


def patients(folder, distant_cells):
    """Index, first event and its time of all patients enrolled with a size of detection."""
    trial, out = f"{folder}/trial.toml", f"{folder}/trial.h5"
    with open(trial, "w", encoding="utf-8") as file:
        file.write(f"{TRIAL}\n[detection]\ndistant_cells = {distant_cells:.3e}\n")
    size = ["--patients", str(PATIENTS), "--records"]
    subprocess.run(["reseed", "run", trial, *size, "--out", out, "--force", "-q"], check=True)
    with h5py.File(out) as file:
        columns = [file["patients"][name][:] for name in ("index", "first_event", "first_event_days")]
    return columns[0], columns[1], columns[2] / 365.25


def peak(event, years):
    """When the hazard of distant recurrence as the first event is highest."""
    edges = np.arange(0, HORIZON_YEARS + BIN_YEARS / 2, BIN_YEARS)
    middles = edges[:-1] + BIN_YEARS / 2
    events = np.histogram(years[event == DISTANT], edges)[0]
    at_risk = len(years) - np.searchsorted(np.sort(years), middles)
    return GRID_YEARS[np.argmax(kernel(middles) @ (events / at_risk))]


if __name__ == "__main__":
    main()
