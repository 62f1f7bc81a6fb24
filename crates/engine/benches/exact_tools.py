"""Times exact simulators that people use, on the reseeding model of throughput/exact.rs.

For every line on standard input it runs each tool once and prints one line of JSON:
{tool: {days: {"seconds": processor time of a trajectory, "scar": mean scar cells at the end}}}.
`measure.py` drives it. Tools that are not installed are left out, with a note.
"""

import importlib.metadata
import json
import resource
import sys

# Rate constant, cells used up, cells made: scar S, distant D, circulating C. Keep in step with
# throughput/exact.rs.
REACTIONS = [
    (0.15, ["S"], ["S", "S"]),
    (0.1333, ["S"], []),
    (0.15, ["D"], ["D", "D"]),
    (0.1333, ["D"], []),
    (0.01, ["S"], ["S", "C"]),
    (0.01, ["D"], ["D", "C"]),
    (58.7, ["C"], []),
    (0.6, ["C"], ["S"]),
    (0.6, ["C"], ["D"]),
]
START = {"S": 50, "D": 0, "C": 100}
# Days simulated, and how many trajectories are timed at once.
HORIZONS = [(200, 50), (475, 2)]


def processor_seconds():
    """Of this process and of the programs it has run."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def rebop():
    """A function (days, trajectories, seed) -> scar cells at the end of each."""
    from rebop import Gillespie

    system = Gillespie()
    for rate, used, made in REACTIONS:
        system.add_reaction(rate, used, made)

    def simulate(days, trajectories, seed):
        runs = (
            system.run(START, days, 1, rng=[seed, trajectory], var_names=["S"])
            for trajectory in range(trajectories)
        )
        return [int(run.S[-1]) for run in runs]

    return simulate


def gillespy2():
    """Likewise; the model is compiled once, outside what is timed."""
    import numpy
    from gillespy2 import Model, Parameter, Reaction, Species, SSACSolver

    model = Model(name="reseeding")
    for name, cells in START.items():
        model.add_species(Species(name=name, initial_value=cells, mode="discrete"))
    for at, (rate, used, made) in enumerate(REACTIONS):
        constant = Parameter(name=f"k{at}", expression=str(rate))
        model.add_parameter(constant)
        counts = [{name: side.count(name) for name in side} for side in (used, made)]
        model.add_reaction(
            Reaction(name=f"r{at}", reactants=counts[0], products=counts[1], rate=constant)
        )
    solvers = {}
    for days, _ in HORIZONS:
        model.timespan(numpy.linspace(0, days, 2))
        solvers[days] = SSACSolver(model=model)

    def simulate(days, trajectories, seed):
        runs = solvers[days].run(number_of_trajectories=trajectories, seed=seed)
        return [run["S"][-1] for run in runs]

    return simulate


def installed():
    """The tools that there are, by name and version."""
    tools = {}
    for package, label, prepare in [
        ("rebop", "rebop", rebop),
        ("gillespy2", "GillesPy2 C++ SSA", gillespy2),
    ]:
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            print(f"note: {package} is not installed, so it is not compared with", file=sys.stderr)
            continue
        tools[f"{label} {version}"] = prepare()
    return tools


def main():
    tools = installed()
    for seed, _ in enumerate(sys.stdin, start=1):
        times = {name: {} for name in tools}
        for name, simulate in tools.items():
            for days, trajectories in HORIZONS:
                start = processor_seconds()
                scar = simulate(days, trajectories, seed)
                seconds = (processor_seconds() - start) / trajectories
                mean = float(sum(scar)) / trajectories
                times[name][days] = {"seconds": seconds, "scar": mean}
        print(json.dumps(times), flush=True)


main()
