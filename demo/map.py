"""A map of images: what is alike, and what lies between?"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from sktae import NeighborAutoencoder
from sktae.plot import MapDisplay

_RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "quality" / "maps.csv"


def run():
    """Return numbers for the page and a figure."""
    X, y = load_digits(return_X_y=True)
    rows, new, digits, new_digits = train_test_split(X, y, test_size=0.5, random_state=0)
    model = NeighborAutoencoder(standardize="shared", calibration=None, random_state=0).fit(rows)
    numbers = {}
    for name, mapper in {"ours": model, "pca": PCA(2).fit(rows)}.items():
        near = KNeighborsClassifier(5).fit(mapper.transform(rows), digits)
        decoded = mapper.inverse_transform(mapper.transform(new))
        lost = np.square(new - decoded).sum() / np.square(new - new.mean(axis=0)).sum()
        numbers[f"{name}_hit"] = f"{near.score(mapper.transform(new), new_digits):.0%}"
        numbers[f"{name}_r2"] = f"{1 - lost:.0%}"
    umap = pd.read_csv(_RESULTS).query("set == 'digits' and n_components == 2 and model == 'UMAP'")
    numbers["umap_hit"] = f"{umap['accuracy'].mean():.0f}%"
    numbers["umap_r2"] = f"{umap['r2'].mean():.0f}%"
    return numbers, draw(model, new, new_digits)


def densest(codes):
    """Return the code that is nearest to its ten nearest ones."""
    distances, _ = NearestNeighbors(n_neighbors=10).fit(codes).kneighbors()
    return codes[distances[:, -1].argmin()]


def draw(model, new, digits):
    figure = plt.figure(figsize=(12, 5.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(3, 2))
    axes = left.subplots()
    MapDisplay.from_estimator(model, new, digits, decoded=(8, 8), ax=axes, s=14)
    codes, walks = model.transform(new), [(0, 6), (1, 7), (3, 5), (9, 4)]
    panels = right.subplots(len(walks), 8)
    for line, (first, last) in zip(panels, walks, strict=True):
        ends = (densest(codes[digits == digit]) for digit in (first, last))
        steps = np.linspace(*ends, len(line))
        axes.plot(*steps.T, color="black", linewidth=1)
        for small, image in zip(line, model.inverse_transform(steps), strict=True):
            small.imshow(image.reshape(8, 8), cmap="gray_r")
            small.set_axis_off()
    right.suptitle("decoded along the four lines")
    return figure
