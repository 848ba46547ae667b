"""
Detectors and reducers
======================

One class does two jobs. With its default, wide code an autoencoder detects outliers, as
`IsolationForest` does; with a narrow code it reduces dimensions, as `PCA` does. Here they stand
side by side in the same pipelines.

The models learn from half of the benign tumours in the breast cancer data. As detectors they must
tell the other half from the malignant ones, which they have never seen. As reducers they must
restore the other half from two numbers each.
"""

import argparse
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, r2_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktae import Autoencoder, VariationalAutoencoder, all_estimators

X, benign = load_breast_cancer(return_X_y=True)
train, rest = train_test_split(X[benign == 1], train_size=0.5, random_state=0)
test = np.vstack([rest, X[benign == 0]])
malignant = np.repeat([0, 1], [len(rest), np.sum(benign == 0)])

Autoencoder(max_steps=1).fit(train)  # so that no model below pays for starting torch
detectors = {"IsolationForest": IsolationForest(random_state=0)} | {
    E.__name__: E(training_data="clean", random_state=0) for E in all_estimators()
}
reducers = {
    "PCA(2)": PCA(2),
    "Autoencoder(2)": Autoencoder(2, random_state=0),
    "Autoencoder(2, linear_skip)": Autoencoder(2, linear_skip=True, random_state=0),
    "VariationalAutoencoder(2)": VariationalAutoencoder(2, random_state=0),
}

auroc, explained = {}, {}
print(f"{'':28} {'AUROC':>7} {'AP':>7} {'expl. var.':>11} {'seconds':>8}")
for name, model in {**detectors, **reducers}.items():
    start = time.perf_counter()
    pipe = make_pipeline(StandardScaler(), model).fit(train)
    seconds = time.perf_counter() - start
    anomaly = -pipe.score_samples(test)
    auroc[name] = roc_auc_score(malignant, anomaly)
    share = "-"  # a wide code restores everything, which says nothing
    if name in reducers:
        scaled = pipe[0].transform(rest)
        restored = model.inverse_transform(model.transform(scaled))
        explained[name] = r2_score(scaled, restored, multioutput="variance_weighted")
        share = f"{explained[name]:.3f}"
    ap = average_precision_score(malignant, anomaly)
    print(f"{name:28} {auroc[name]:7.3f} {ap:7.3f} {share:>11} {seconds:8.2f}")

# %%
# One split of a small table: a hundredth or two between models mean nothing, on either side.

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
for axes, found in (left, auroc), (right, explained):
    bars = axes.barh(list(found), found.values(), color="#0072B2")
    for bar, name in zip(bars, found, strict=True):
        bar.set_color("#0072B2" if "ncoder" in name else "#666666")  # grey: scikit-learn's
    axes.bar_label(bars, fmt="%.3f", label_type="center", color="white")
    axes.invert_yaxis()
figure.suptitle("scikit-learn in grey, sktae in blue")
left.set(title="Telling malignant tumours from benign ones", xlabel="AUROC (chance: 0.5)")
right.set(title="Restoring 30 columns from 2 numbers", xlabel="explained variance, unseen rows")

parser = argparse.ArgumentParser()
parser.add_argument("--save", metavar="PATH", help="write the picture there")
path = parser.parse_args().save
figure.savefig(path, dpi=120) if path else plt.show()
