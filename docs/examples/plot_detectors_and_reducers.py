"""
Detectors and reducers
======================

An autoencoder does two jobs. With its default, wide code it detects outliers, as `IsolationForest`
does; with a narrow code it reduces dimensions, as `PCA` does. Here are two of each, beside those of
scikit-learn, on three random splits of each table.

Detectors learn normal rows. Outliers are images whose right half comes from another digit, benign
tumours with 3 of 30 values from other rows, and malignant tumours: in the first two, each value is
ordinary, and only the combination is not. Reducers restore new rows from two numbers each.
"""

import argparse
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.covariance import EllipticEnvelope
from sklearn.datasets import load_breast_cancer, load_digits, make_s_curve
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler

from sktae import Autoencoder, DenoisingAutoencoder

tumours, benign = load_breast_cancer(return_X_y=True, as_frame=True)
images, digits = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8)[:, :, 1:7].reshape(-1, 48) / 8  # the margins are nearly empty
found = []


def auroc(model, normal, outliers):
    scores = np.r_[model.score_samples(normal), model.score_samples(outliers)]
    return roc_auc_score(np.repeat([1, 0], [len(normal), len(outliers)]), scores)


Autoencoder(max_steps=1).fit(images)  # so that no model below pays for starting torch
for seed in range(3):
    rng = np.random.default_rng(seed)
    known, new = train_test_split(tumours[benign == 1], train_size=200, random_state=seed)
    scaler = StandardScaler().fit(known)
    known, new, malignant = map(scaler.transform, (known, new, tumours[benign == 0]))
    foreign = rng.permuted(np.tile(np.arange(30) < 3, (len(new), 1)), axis=1)
    mixed = np.where(foreign, rng.permuted(new, axis=0), new)
    seen, unseen, _, labels = train_test_split(images, digits, train_size=600, random_state=seed)
    other = [rng.choice(np.flatnonzero(labels != digit)) for digit in labels]
    halves = np.where(np.arange(48) % 6 < 3, unseen, unseen[other])
    curve = StandardScaler().fit_transform(make_s_curve(1200, noise=0.05, random_state=seed)[0])
    settings = {"standardize": False, "random_state": seed}
    clean = {"training_data": "clean", "contamination": 0.05, **settings}
    detectors = {
        "IsolationForest": IsolationForest(contamination=0.05, random_state=seed),
        "EllipticEnvelope": EllipticEnvelope(support_fraction=1, contamination=0.05),
        "LocalOutlierFactor": LocalOutlierFactor(contamination=0.05, novelty=True),
        "DenoisingAutoencoder": DenoisingAutoencoder(**clean),
        "the same, calibrated": DenoisingAutoencoder(
            **{**clean, "contamination": "auto", "false_alarm_rate": 0.05}
        ),
    }
    for name, model in detectors.items():
        start = time.perf_counter()
        model.fit(seen)
        found.append(("Halves of two digits", name, auroc(model, unseen, halves)))
        model.fit(known)
        found.append(("3 of 30 values foreign", name, auroc(model, new, mixed)))
        found.append(("Malignant tumours", name, auroc(model, new, malignant)))
        found.append(("False alarms", name, np.mean(model.predict(new) == -1)))
        found.append(("Seconds in all", name, time.perf_counter() - start))
    reducers = {"PCA(2)": PCA(2), "Autoencoder(2)": Autoencoder(2, **settings)}
    reducers["DenoisingAutoencoder(2)"] = DenoisingAutoencoder(2, **settings)
    tables = {"S-curve": np.split(curve, [800]), "Digits": (seen, unseen), "Tumours": (known, new)}
    for name, model in reducers.items():
        for table, (rows, rest) in tables.items():
            restored = model.fit(rows).inverse_transform(model.transform(rest))
            found.append((table, name, r2_score(rest, restored, multioutput="variance_weighted")))

found = pd.DataFrame(found, columns=["what", "name", "value"])
reasons = detectors["DenoisingAutoencoder"].explain(mixed).set_axis(tumours.columns, axis=1)
right = foreign[np.arange(len(mixed)), reasons.to_numpy().argmax(axis=1)].mean()
print(f"A foreign value is the first reason in {right:.0%} of rows, 10 % by chance.")

# %%
# Dots are splits, bars means. Scikit-learn's, in grey, do as well where their idea fits: columns of
# tumours depend linearly, malignant ones are extreme, 200 rows show little but a plane. Their
# thresholds hold for new rows; those of an autoencoder do with `contamination="auto"`, for which
# halves of the rows judge each other.

figure, panels = plt.subplots(2, 4, figsize=(14, 5.6), layout="constrained", height_ratios=[6, 4])
for line, models in zip(panels, (detectors, reducers), strict=True):
    table = found.query("name in @models").pivot_table("value", "name", "what", sort=False)
    print(table.round(3).to_string(), "\n")
    for axes, what in zip(line, table, strict=False):
        for row, name in enumerate(models):
            values = found.query("what == @what and name == @name")["value"]
            color = "#0072B2" if "Auto" in name or "same" in name else "#666666"
            axes.barh(row, values.mean(), color=color, alpha=0.3)
            axes.plot(values, [row] * 3, "o", color=color, markersize=3)
            axes.text(values.max(), row, f"  {values.mean():.2f}", color=color, va="center")
        axes.set(title=what, xlim=(0, 1.2), xlabel="explained variance")
        axes.set_yticks(range(len(models)), models if axes is line[0] else [])
        axes.invert_yaxis()
for axes in panels[0, :3]:
    axes.set(xlabel="AUROC", xlim=(0.5, 1.1))
panels[0, 3].set(xlabel="of new normal rows; asked: 0.05", xlim=(0, 0.5))
panels[0, 3].axvline(0.05, color="#D55E00", linewidth=1, linestyle="--")
order = np.argsort(reasons.iloc[0])[-5:]
colors = np.where(foreign[0, order], "#D55E00", "#0072B2")
panels[1, 3].barh(reasons.columns[order], reasons.iloc[0, order], color=colors)
panels[1, 3].set(title="Why is this row unusual?", xlabel="contribution (orange: foreign)")
for axes in panels.flat:
    axes.spines[["top", "right"]].set_visible(False)

parser = argparse.ArgumentParser()
parser.add_argument("--save", metavar="PATH", help="write the picture there")
path = parser.parse_args().save
figure.savefig(path, dpi=120) if path else plt.show()
