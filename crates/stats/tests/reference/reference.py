"""What lifelines finds in sets of patients given as CSV on standard input (columns time, status,
group, stratum), with an empty line between two sets: JSON on standard output, for every set a
list of numbers for every name. Groups 0 and 1 alone.

    python3 reference.py < patients.csv
"""

import io
import json
import sys
import warnings

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.statistics import logrank_test
from lifelines.utils import restricted_mean_survival_time

warnings.filterwarnings("ignore")

def find(data):
    grid = np.quantile(data.time, [0.1, 0.25, 0.4, 0.55, 0.7, 0.85], method="inverted_cdf")
    found = {"grid": grid}
    data["event"] = (data.status > 0).astype(int)
    two = data[data.group < 2]
    groups = [two[two.group == group] for group in (0, 1)]
    for group, patients in enumerate(groups):
        km = KaplanMeierFitter().fit(patients.time, patients.event)
        limits = km.confidence_interval_.asof(grid).to_numpy()
        survival = km.survival_function_at_times(grid).to_numpy()
        mean = restricted_mean_survival_time(km, t=grid[4])
        # lifelines has no interval where nobody or everybody has had the event; it says 0 or 1.
        limits[(survival == 0) | (survival == 1)] = np.nan
        found |= {
            f"group{group}.survival": survival,
            f"group{group}.survival.lower": limits[:, 0],
            f"group{group}.survival.upper": limits[:, 1],
            f"group{group}.mean": [mean],
        }

    for rho, gamma in [(0, 0), (1, 0), (0, 1), (0.5, 2)]:
        weights = {} if rho == gamma == 0 else {
            "weightings": "fleming-harrington", "p": rho, "q": gamma}
        test = logrank_test(
            groups[0].time, groups[1].time, groups[0].event, groups[1].event, **weights)
        found[f"two.logrank.rho{rho}.gamma{gamma}"] = [test.test_statistic, test.p_value]

    for strata in (None, ["stratum"]):
        columns = ["time", "event", "group"] + (strata or [])
        # The precision is that of the squared step, too; the likelihood must not end the search.
        cox = CoxPHFitter().fit(
            two[columns], "time", "event", strata=strata,
            fit_options={"precision": 1e-22, "r_precision": 0, "step_size": 1.0})
        name = "cox.efron" + (".stratified" if strata else "")
        found[name] = [cox.params_["group"], cox.standard_errors_["group"]]

    return found


def text(found):
    def finite(value):
        return float(value) if np.isfinite(value) else None

    lists = {name: [finite(value) for value in values] for name, values in found.items()}
    return "{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in lists.items()) + "\n}"


sets = sys.stdin.read().strip().split("\n\n")
print("[" + ",\n".join(text(find(pd.read_csv(io.StringIO(patients)))) for patients in sets) + "]")
