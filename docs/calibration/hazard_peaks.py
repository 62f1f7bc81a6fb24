#!/usr/bin/env python3
"""Says when the hazards of a cohort are highest, from its events by half-year:

    deploy/with-tools --python docs/calibration/hazard_peaks.py docs/calibration/breast-distant.csv

The hazard is smoothed as `reseed validate` smooths the model's: Epanechnikov's kernel over 0.75 years to
either side, at the start the boundary kernel of Müller and Wang (Biometrics 1994;50:61), on a grid of 0.05
years up to 5. Intervals are the central 95 % of peaks of cohorts whose events are drawn from Poisson's law.
Only half-years count here, not days: the peak of all women comes out as from their records, 1.25 years. The last
row weights women without systemic treatment by node class, so that the classes are as frequent as among all.
"""

import csv
import sys

import numpy as np

BANDWIDTH_YEARS = 0.75
STEPS_PER_HALF_YEAR = 50
GRID_YEARS = np.arange(0, 5.001, 0.05)
COHORTS = 4000

# All women of a class over those of them without systemic treatment.
WEIGHTS = {
    "untreated, nodes 0": 1436 / 1436,
    "untreated, nodes 1-3": 764 / 270,
    "untreated, nodes 4+": 782 / 385,
}


def main(path):
    strata = {}
    with open(path, encoding="utf-8") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            counts = strata.setdefault(row["stratum"], [])
            counts.append((float(row["distant"]), float(row["person_years"])))
    print(f"{'':26} events  peak, years        95 %")
    for stratum, counts in strata.items():
        tell(stratum, [(1, counts)])
    tell("untreated, classes as all", [(weight, strata[name]) for name, weight in WEIGHTS.items()])


def tell(name, parts):
    """Prints the peak of the hazard of several strata, each with a weight."""
    random = np.random.default_rng(1)
    weights = [weight for weight, _ in parts]
    events, person_years = np.array([counts for _, counts in parts]).transpose(2, 0, 1)
    drawn = random.poisson(events, (COHORTS, *events.shape))
    low, high = np.quantile(peak(drawn, person_years, weights), [0.025, 0.975])
    found = peak(events, person_years, weights)
    print(f"{name:26} {events.sum():6.0f}  {found:11.2f}  {low:.2f} to {high:.2f}")


def peak(events, person_years, weights):
    """When the hazard is highest, from events by stratum and half-year."""
    hazard = np.tensordot(events, weights, (-2, 0)) / np.tensordot(person_years, weights, (0, 0))
    return GRID_YEARS[np.argmax(hazard @ kernel_weights(hazard.shape[-1]).T, axis=-1)]


def kernel_weights(half_years):
    """What the rate of every half-year counts for at every place of the grid."""
    steps = np.arange(half_years * STEPS_PER_HALF_YEAR) + 0.5
    step_share = 1 / (2 * STEPS_PER_HALF_YEAR * BANDWIDTH_YEARS)
    weights = kernel(steps / (2 * STEPS_PER_HALF_YEAR)) * step_share
    return weights.reshape(len(GRID_YEARS), half_years, STEPS_PER_HALF_YEAR).sum(axis=2)


def kernel(years):
    """Epanechnikov's kernel from every place of the grid to these times, near the start that of the boundary."""
    x = (GRID_YEARS[:, None] - years) / BANDWIDTH_YEARS
    reach = np.minimum(GRID_YEARS / BANDWIDTH_YEARS, 1)[:, None]
    tilt = x * (1 - 2 * reach) + (3 * reach**2 - 2 * reach + 1) / 2
    height = 12 / (1 + reach) ** 4 * (x + 1) * tilt
    return np.where((x >= -1) & (x <= reach), height, 0)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
