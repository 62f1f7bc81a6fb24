#!/usr/bin/env python3
"""Finds a point of a posterior that agrees with a cohort's published numbers as well as a single point can.

    docs/calibration/closest.py reseed breast/posterior.toml crates/report/cohorts/breast.csv folder

The first round simulates draws of the posterior. Then the closest are simulated again with more patients,
because with few alone the luckiest would win, and crossed (differential evolution: Storn and Price, J Glob
Optim 1997;11:341), with every parameter of a child within the central 95 % of its draws; and once more so.
The last are trials of their own (final-N.toml), told with the parameters that are at an end of that range. All trials and
results are kept in the folder.
"""

import argparse
import json
import math
import random
import re
import statistics
import subprocess
from pathlib import Path

DRAWS, DRAW_PATIENTS = 600, 20_000
# Points of a round, patients at each, and rounds of crossings.
STAGES = [(60, 40_000, 3), (20, 200_000, 3)]
FINALISTS, FINALIST_PATIENTS = 8, 1_000_000
# How many of the closest have children, how far a child is thrown from its parent by the difference
# of two others, and the share of its parameters that are.
PARENTS, THROW, THROWN = 20, 0.6, 0.6
LIST = re.compile(r"^([\w.]+) = \{ draws = \[(.*?)\] \}", re.MULTILINE)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("program", help="the program reseed")
    parser.add_argument("posterior", type=Path, help="the trial at the draws, from reseed calibrate")
    parser.add_argument("cohort", type=Path, help="published quantities")
    parser.add_argument("folder", type=Path, help="where rounds are kept")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    posterior = options.posterior.read_text(encoding="utf-8")
    draws = list(zip(*([float(value) for value in found[2].split(",")] for found in LIST.finditer(posterior))))
    names = [found[1] for found in LIST.finditer(posterior)]
    axes = [Axis(values) for values in zip(*draws)]
    rounds = Rounds(options, posterior)
    closest = rounds.judged(draws[:DRAWS], DRAW_PATIENTS)
    dice = random.Random(1)
    for size, patients, crossings in STAGES:
        closest = rounds.judged([point for _, point in closest[:size]], patients)
        for _ in range(crossings):
            children = crossed(closest[:PARENTS], size, axes, dice)
            closest = merged(closest, rounds.judged(children, patients))
    for _, point in closest[:FINALISTS]:
        inside, distance = rounds.alone(point)
        ends = [name for name, axis, value in zip(names, axes, point) if axis.is_end(value)]
        print(f"final {rounds.number}: inside {inside}, distance {distance:.2f}; at an end: {', '.join(ends) or 'none'}")


class Rounds:
    """Simulates points and judges them, round by round."""

    def __init__(self, options, posterior):
        self.options = options
        self.posterior = posterior
        self.number = 0

    def judged(self, points, patients):
        """Points with their ranks, the closest first; a rank is less the closer it is."""
        self.number += 1
        trial = self.options.folder / f"round-{self.number}.toml"
        trial.write_text(self.at(points, patients), encoding="utf-8")
        closest = self.validated(trial)["closest_points"]
        print(f"round {self.number}: {len(points)} points of {patients:,} patients;", end=" ")
        print(f"the closest is inside {closest[0]['inside']}, distance {closest[0]['distance']:.2f}")
        return [((-one["inside"], distance_of(one)), points[one["point"]]) for one in closest]

    def alone(self, point):
        """How close a point is as a trial of its own, whose times are finer than half-years."""
        self.number += 1
        trial = self.options.folder / f"final-{self.number}.toml"
        trial.write_text(self.at([point], FINALIST_PATIENTS), encoding="utf-8")
        trial.write_text(self.printed("trial", "show", trial, "--point", "0"), encoding="utf-8")
        targets = self.validated(trial)
        return targets["inside"], math.sqrt(statistics.fmean(map(squared_distance, targets["rows"])))

    def validated(self, trial):
        """Simulates a trial and sets it beside the cohort."""
        result = trial.with_suffix(".h5")
        subprocess.run([self.options.program, "run", trial, "--out", result], check=True)
        return json.loads(self.printed("validate", result, "--targets", self.options.cohort, "--json"))["targets"]

    def printed(self, *words):
        """What a command of the program prints."""
        return subprocess.run([self.options.program, *words], check=True, stdout=subprocess.PIPE, text=True).stdout

    def at(self, points, patients):
        """The trial at these points, each with patients of its own."""
        axes = iter(zip(*points))

        def listed(found):
            values = ", ".join(f"{value:.9g}" for value in next(axes))
            return f"{found[1]} = {{ draws = [{values}] }}"

        text = LIST.sub(listed, self.posterior)
        run = {"patients": patients * len(points), "block_patients": patients, "seed": self.number}
        for key, value in run.items():
            text = re.sub(rf"^{key} = .*$", f"{key} = {value}", text, count=1, flags=re.MULTILINE)
        return text


def crossed(parents, size, axes, dice):
    """Children: a parent, of which some parameters are thrown by the difference of two others."""
    points = [point for _, point in parents]

    def child():
        trio = dice.sample(points, 3)
        pairs = zip(axes, *trio)
        return tuple(axis.thrown(*values) if dice.random() < THROWN else axis.held(values[0]) for axis, *values in pairs)

    return [child() for _ in range(size)]


class Axis:
    """The scale of a parameter, logarithmic where it is positive, and its central 95 %."""

    def __init__(self, values):
        self.is_log = min(values) > 0
        ends = statistics.quantiles(values, n=40)
        self.lower, self.upper = ends[0], ends[-1]

    def thrown(self, base, ahead, behind):
        if self.is_log:
            value = base * (ahead / behind) ** THROW
        else:
            value = base + THROW * (ahead - behind)
        return self.held(value)

    def held(self, value):
        return min(max(value, self.lower), self.upper)

    def is_end(self, value):
        """Whether it is an end of the range, as far as a trial has digits, or beyond."""
        ends = (self.lower, self.upper)
        return self.held(value) != value or any(math.isclose(value, end, rel_tol=1e-6) for end in ends)


def distance_of(point):
    """Infinite where a value of the point is not known."""
    return math.inf if point["distance"] is None else point["distance"]


def squared_distance(row):
    """Of the model's value from the cohort's, in halves of the latter's interval."""
    away = row["model"] - row["observed"]
    half = row["observed"] - row["observed_lower"] if away < 0 else row["observed_upper"] - row["observed"]
    return (away / half) ** 2


def merged(*rounds):
    """Points of all rounds, the closest first."""
    return sorted((ranked for one in rounds for ranked in one), key=lambda ranked: ranked[0])


if __name__ == "__main__":
    main()
