"""Many fits: of several models, and of a grid search."""

import math
from functools import partial

from sklearn.model_selection import GridSearchCV

from benchmarks._lib.cases import case, compare, table
from benchmarks._lib.contestants import CODE, bare_loop, matched, skorch_net
from sktae import Autoencoder, StackedGridSearchCV
from sktae import fit_many as stacked_fit

RATES = (3e-4, 1e-3, 3e-3, 1e-2)
CODES = (8, 16)
BATCH = 32


def estimator(epochs, rate):
    return Autoencoder(CODE, **{**matched(BATCH, epochs), "learning_rate": rate})


def stacked(tables, epochs):
    models = [estimator(epochs, RATES[number % 4]) for number in range(len(tables))]
    return stacked_fit(models, tables)[0]


def one_by_one(tables, epochs):
    for X, rate in zip(tables, RATES, strict=False):
        model = estimator(epochs, rate).fit(X)
    return model


def bare_loops(tables, epochs):
    for X, rate in zip(tables, RATES, strict=False):
        bare_loop(X, BATCH, epochs, rate)


@case(
    "Many fits together",
    threads=2,
    full=[(n, 2000, 20, 10) for n in (8, 32, 128)],
    tiny=[(4, 200, 5, 1)],
)
def fit_many(args, n_models, n_rows, n_features, epochs):
    """How long do many fits take together, stacked or one after another?

    K models of four learning rates, each on rows of its own; of bare loops and of fits one after
    another, four are run and counted K / 4 times.
    """
    tables = [table(n_rows, n_features, seed) for seed in range(n_models)]
    each = {"bare loops": bare_loops, "sktae one by one": one_by_one, "sktae fit_many": stacked}
    for run in each.values():
        run(tables[:4], 1)  # imports and first calls
    runs = {name: partial(run, tables, epochs) for name, run in each.items()}
    shares = dict.fromkeys(("bare loops", "sktae one by one"), 4 / n_models)
    setting = f"{n_models} models, {n_rows:,} x {n_features}, batch {BATCH}"
    return compare(args, setting, runs, "bare loops", shares=shares, epochs=epochs)


def skorch_search(X, epochs, rates, folds, n_jobs):
    grid = {"lr": rates, "module__n_components": CODES}
    net = skorch_net(X.shape[1], BATCH, epochs)
    return GridSearchCV(net, grid, cv=folds, n_jobs=n_jobs).fit(X, X).best_estimator_


def sktae_search(X, epochs, rates, folds, n_jobs, Search=GridSearchCV):
    grid = {"learning_rate": rates, "n_components": CODES}
    model = Autoencoder(**matched(BATCH, epochs))
    return Search(model, grid, cv=folds, n_jobs=n_jobs).fit(X).best_estimator_


SEARCHES = {
    "skorch, 1 job": (skorch_search, 1),
    "skorch, 2 jobs": (skorch_search, 2),
    "sktae, 1 job": (sktae_search, 1),
    "sktae, 2 jobs": (sktae_search, 2),
    "sktae stacked": (partial(sktae_search, Search=StackedGridSearchCV), 1),
}


@case(
    "Whole searches",
    threads=2,
    full=[(2000, 20, 10, 4, 4, 2)],
    tiny=[(200, 5, 1, 1, 2, 1)],
)
def search(args, n_rows, n_features, epochs, n_rates, folds, most_jobs):
    """How long does a grid search take, stacked or fit by fit?

    A search consists of 32 fits and a refit: eight candidates, among them four learning rates, in
    four folds. With two jobs, processor time is not known here and is left out; their processes
    have started before the clock does.
    """
    X, rates, runs = table(n_rows, n_features), RATES[:n_rates], {}
    for name, (run, n_jobs) in SEARCHES.items():
        if n_jobs <= most_jobs:
            run(X[:200], 1, rates[:1], 2, n_jobs)
            runs[name] = partial(run, X, epochs, rates, folds, n_jobs)
    n_fits = len(rates) * len(CODES) * folds
    setting = f"search of {n_fits} fits, {n_rows:,} x {n_features}, batch {BATCH}"
    rows = compare(args, setting, runs, "skorch, 1 job", epochs=epochs)
    for row in rows:
        if row["contestant"].endswith("2 jobs"):
            row |= dict.fromkeys(("cpu_median", "cpu_min", "cpu_ratio"), math.nan)
    return rows
