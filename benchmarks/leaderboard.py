"""Run `WindowedDetector` on the series of TSB-AD as its leaderboard does.

    python -m benchmarks.leaderboard --data TSB-AD-U --list TSB-AD-U-Eva.csv --output results.csv

Series are CSV files with a column for each channel and one named Label. A name such as
`001_NAB_id_1_Facility_tr_1007_1st_2014.csv` says how many first rows are free of anomalies, here
1007; the detector learns from these and judges all rows. The list is a CSV file with a column
`file_name`, as in the repository TheDatumOrg/TSB-AD, which also says where the series are. With
`run_Custom_AD_Semisupervised`, this file has the interface of a detector that one hands in there.
"""

import argparse
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd

from sktae import WindowedDetector
from sktae.metrics import period, vus_pr, vus_roc


def run_Custom_AD_Semisupervised(data_train, data_test, random_state=0):  # noqa: N802  # its name
    """Learn from the first rows (t, c), and return the scores of all, higher for anomalies."""
    detector = WindowedDetector(training_data="clean", random_state=random_state)
    return -detector.fit(data_train).score_samples(data_test)


def measured(path):
    """Judge the series of a file, and compare with its labels."""
    frame = pd.read_csv(path).dropna()
    X, y = frame.drop(columns="Label").to_numpy(float), frame["Label"].to_numpy(int)
    n_train = int(re.search(r"_tr_(\d+)", path.name)[1])
    begin = time.perf_counter()
    scores = run_Custom_AD_Semisupervised(X[:n_train], X)
    row = {"file": path.name, "Time": time.perf_counter() - begin}
    window = period(X[:, 0])
    for name, measure in (("VUS-PR", vus_pr), ("VUS-ROC", vus_roc)):
        row[name] = measure(y, scores, window=window) if y.any() else np.nan
    return row


def main(argv=None):
    parser = argparse.ArgumentParser("python -m benchmarks.leaderboard", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", type=Path, required=True, help="folder of the CSV files")
    parser.add_argument("--list", type=Path, help="which of them; by default all")
    parser.add_argument("--output", type=Path, required=True, help="CSV file of the results")
    args = parser.parse_args(argv)
    names = sorted(path.name for path in args.data.glob("*.csv"))
    if args.list is not None:
        names = list(pd.read_csv(args.list)["file_name"])
    rows = []
    for name in names:
        rows.append(measured(args.data / name))
        pd.DataFrame(rows).to_csv(args.output, index=False)  # so that an interruption costs little
        print(f"{name}: VUS-PR {rows[-1]['VUS-PR']:.3f}, {rows[-1]['Time']:.1f} s", flush=True)
    print(pd.DataFrame(rows).mean(numeric_only=True).round(3).to_string())


if __name__ == "__main__":
    main()
