#!/usr/bin/env python3
"""Measures everything in BENCHMARKS.md and prints it as Markdown; --write puts it there.

    python3 crates/engine/benches/measure.py [--write]

Needs no packages; those of requirements.txt beside it add the comparison with exact simulators.
Progress goes to standard error.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
TRIAL = HERE / "trial.toml"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
TOOLS = ROOT / "target" / "benchmark-tools"
BEGIN, END = "<!-- numbers: written by measure.py -->", "<!-- end of numbers -->"


def main():
    options = arguments()
    say("building")
    output("deploy/with-tools", "cargo", "build", "--release", "--package", "reseed-cli")
    # Memory first: a child's peak is never reported below this process's own.
    memory = memory_rows(options)
    load = os.getloadavg()
    engine = engine_rows(options)
    tools = tool_rows(options)
    text = markdown(options, load, engine, tools, memory)
    if options.write:
        write(text)
        say("written to BENCHMARKS.md")
    else:
        print(text)
    missed = [row["quantity"] for row in engine + tools + memory if row.get("met") is False]
    for quantity in missed:
        say(f"goal missed: {quantity}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="rewrite the numbers in BENCHMARKS.md")
    parser.add_argument("--patients", type=int, default=100_000, help="patients in each timing")
    parser.add_argument("--rounds", type=int, default=9, help="repeats of everything")
    parser.add_argument(
        "--memory-patients",
        type=int,
        nargs="+",
        default=[100_000, 1_000_000],
        help="sizes of the runs whose memory is measured",
    )
    return parser.parse_args()


def say(text):
    print(text, file=sys.stderr, flush=True)


def output(*command, **options):
    """What a command prints."""
    return subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True, **options
    ).stdout


def bench(name, *arguments, features=()):
    """What a benchmark program prints, as JSON."""
    command = ["cargo", "bench", "--quiet", "--package", "reseed-engine", "--bench", name]
    command += [f"--features={feature}" for feature in features]
    return json.loads(output(*command, "--", *arguments))


def engine_rows(options):
    say("counting operations")
    patients = f"--patients={options.patients}"
    operations = json.dumps(bench("operations", patients, features=["count"]))
    say(f"timing the engine, {options.rounds} rounds")
    rounds = f"--rounds={options.rounds}"
    return bench("throughput", "--json", patients, rounds, "--operations", operations)


def tool_rows(options):
    """Exact simulators and the engine in turn, each round a ratio."""
    environment = {**os.environ, "PYTHONPATH": str(TOOLS)}
    # More rounds would cost minutes and change nothing in a ratio of thousands.
    rounds = min(options.rounds, 5)
    say(f"timing exact simulators, {rounds} rounds")
    courses, tools = [], []
    with subprocess.Popen(
        [sys.executable, HERE / "exact_tools.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        for _ in range(rounds):
            rows = bench(
                "throughput",
                "--json",
                "--parts=patients",
                "--rounds=1",
                f"--patients={options.patients}",
            )
            rate = next(row for row in rows if row["quantity"] == "patients times arms")
            courses.append(1.0 / rate["median"])
            process.stdin.write("\n")
            process.stdin.flush()
            tools.append(json.loads(process.stdout.readline()))
        process.stdin.close()
    if process.returncode != 0:
        sys.exit("exact_tools.py failed (see above)")

    if not tools[0]:
        say(f"no exact simulator compared with; install them: {install_command()}")
    result = []
    for name in tools[0]:
        for days in tools[0][name]:
            seconds = [times[name][days]["seconds"] for times in tools]
            scar = statistics.fmean(times[name][days]["scar"] for times in tools)
            ratios = [exact / course for exact, course in zip(seconds, courses)]
            label = f"exact, {name}: reseeding to day {days} ({scar:.0f} scar cells)"
            result.append(row(label, "µs", [1e6 * value for value in seconds]))
            result.append(
                row("its time over that of one patient in one arm", "ratio", ratios)
                | goal("≥ 1000", statistics.median(ratios) >= 1000)
            )
    return result


def install_command():
    requirements = (HERE / "requirements.txt").relative_to(ROOT)
    folder = TOOLS.relative_to(ROOT)
    return f"python3 -m pip install --target {folder} --requirement {requirements}"


def memory_rows(options):
    rows, peaks = [], []
    for patients in options.memory_patients:
        say(f"memory of {patients} patients")
        peaks.append(peak_megabytes(patients))
        rows.append(
            row(f"peak memory, run of {patients} patients", "MB", [peaks[-1]])
            | goal("< 200", peaks[-1] < 200)
        )
    # No verdict: shard sizes, which come from a measurement, move a peak by several MB.
    rows.append(row("peak memory, last run over first", "ratio", [peaks[-1] / peaks[0]]))
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    say(f"peaks below {own:.0f} MB would not be seen")
    return rows


def peak_megabytes(patients):
    """Greatest resident memory of a whole run from trial to result, on all cores."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [TARGET / "release" / "reseed", "--quiet", "--no-progress", "run", TRIAL]
            + ["--patients", str(patients), "--out", str(Path(folder) / "memory.h5")],
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit("reseed run failed (see above)")
    return usage.ru_maxrss * 1024 / 1e6


def row(quantity, unit, values):
    return {
        "quantity": quantity,
        "unit": unit,
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
    }


def goal(text, met):
    return {"goal": text, "met": met}


def markdown(options, load, engine, tools, memory):
    day = datetime.datetime.now(datetime.timezone.utc).date()
    rust = output("rustc", "--version").split()[1]
    lines = [
        f"Measured {day} on {processor()}, {os.cpu_count()} processors, {platform.system()} "
        f"{platform.machine()}, Rust {rust}; load average {load[0]:.1f} at the start. "
        f"{options.rounds} rounds of {options.patients} patients.",
        "",
        "| quantity | unit | median | least | greatest | goal |",
        "|---|---|---:|---:|---:|---|",
    ]
    for entry in engine + tools + memory:
        single = entry["min"] == entry["max"]
        extremes = ["", ""] if single else [number(entry["min"]), number(entry["max"])]
        aim = entry.get("goal") or ""
        if aim:
            aim += ": met" if entry["met"] else ": **missed**"
        cells = [entry["quantity"], entry["unit"], number(entry["median"]), *extremes, aim]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "an unknown processor"


def number(value):
    """Three significant digits, or all before the point."""
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    if abs(value) >= 9.995:
        return f"{value:.1f}"
    if abs(value) >= 0.9995 or value == 0:
        return f"{value:.2f}"
    return f"{value:.3f}"


def write(text):
    file = ROOT / "BENCHMARKS.md"
    before, rest = file.read_text().split(BEGIN)
    _, after = rest.split(END)
    file.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


if __name__ == "__main__":
    main()
