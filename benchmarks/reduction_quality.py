"""How much of a table do small codes keep, and do they keep like rows together?

The table is scikit-learn's digits with pixels from 0 to 1. A random half of the rows trains a
model, the other half tests it. R² is the share of their variance that comes back from the code, in
pixels as they are; the accuracy is how often the five training rows with the nearest codes tell the
digit. Autoencoders are given the size of the code and nothing else, but that those of images are
told the shape, and those of sequences read an image line by line. They standardise columns, and so
does a scaler for PCA; in a second round nobody does. Numbers are means over splits, which are also
the seeds, in percent.
"""

import time

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from timing import arguments, machine

from sktae import all_estimators
from sktae.families.image import ImageMixin
from sktae.families.sequence import SequenceAutoencoder

SIZES = {"full": (2, 4, 8, 16), "quick": (2,), "tiny": (2,)}
PIXELS = {"standardised": True, "as they are": False}


def pca(n_components, standardize):
    return make_pipeline(StandardScaler() if standardize else "passthrough", PCA(n_components))


def models(size, n_components, standardize, seed):
    """Yield all by name, PCA first."""
    yield "PCA", pca(n_components, standardize)
    settings = {"max_steps": 2} if size == "tiny" else {}
    settings |= {} if standardize else {"standardize": False}
    for E in all_estimators():
        layout = {}
        if issubclass(E, ImageMixin):
            layout = {"image_shape": (8, 8)}
        elif issubclass(E, SequenceAutoencoder):
            layout = {"n_channels": 8}
        yield E.__name__, E(n_components, random_state=seed, **layout, **settings)


def measured(model, X_train, X_test, y_train, y_test):
    """Fit a model and see what its codes are worth."""
    begin = time.perf_counter()
    model.fit(X_train)
    fit_seconds = time.perf_counter() - begin
    codes = model.transform(X_test)
    residual = np.square(X_test - model.inverse_transform(codes)).sum()
    near = KNeighborsClassifier(5).fit(model.transform(X_train), y_train)
    return {
        "r2": 100 * (1 - residual / np.square(X_test - X_train.mean(0)).sum()),
        "accuracy": 100 * near.score(codes, y_test),
        "fit_seconds": fit_seconds,
    }


def rows(args):
    X, y = load_digits(return_X_y=True)
    for _, model in models("tiny", 2, True, 0):
        model.fit(X)  # imports and first calls
    for split in range(args.repeats):
        parts = train_test_split(X / 16, y, test_size=0.5, random_state=split)
        for pixels, standardize in PIXELS.items():
            for n_components in SIZES[args.size]:
                for name, model in models(args.size, n_components, standardize, split):
                    setting = {"pixels": pixels, "model": name, "n_components": n_components}
                    yield {**setting, "split": split, **measured(model, *parts)}


def main():
    args = arguments(__doc__.splitlines()[0])
    frame = pd.DataFrame(rows(args)).assign(threads=args.threads, **machine())
    args.output.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(args.output, index=False, float_format="%.6g")
    keys, numbers = ["pixels", "model", "n_components"], ["r2", "accuracy", "fit_seconds"]
    print(frame.groupby(keys, sort=False)[numbers].mean().unstack().round(2).to_string())
    print(f"Written to {args.output}.")


if __name__ == "__main__":
    main()
