"""How long do many fits take together: stacked, one after another, in a grid search?

First K models of four learning rates, each on rows of its own; of bare loops and of fits one after
another, four are run and counted K / 4 times. Then whole searches of 32 fits and a refit: eight
candidates, among them four learning rates, in four folds. With two jobs, processor time is not
known here and is left out; their processes have started before the clock does.
"""

import math
from functools import partial

from contestants import CODE, bare_loop, matched, skorch_net
from sklearn.model_selection import GridSearchCV
from timing import arguments, finish, interleaved, rows_of, table

from sktae import Autoencoder, StackedGridSearchCV, fit_many

RATES = (3e-4, 1e-3, 3e-3, 1e-2)
CODES = (8, 16)
BATCH = 32
# rows, columns, epochs, numbers of models, learning rates, folds and jobs of a search
SETTINGS = {
    "full": (2000, 20, 10, (8, 32, 128), 4, 4, 2),
    "quick": (2000, 20, 2, (8,), 2, 2, 2),
    "tiny": (200, 5, 1, (4,), 1, 2, 1),
}


# -- models ----------------------------------------------------------------------------------------


def stacked(tables, epochs):
    rates = [RATES[number % 4] for number in range(len(tables))]
    models = [
        Autoencoder(CODE, **{**matched(BATCH, epochs), "learning_rate": rate}) for rate in rates
    ]
    return fit_many(models, tables)[0]


def one_after_another(tables, epochs):
    for X, rate in zip(tables, RATES, strict=False):
        model = Autoencoder(CODE, **{**matched(BATCH, epochs), "learning_rate": rate}).fit(X)
    return model


def bare_loops(tables, epochs):
    for X, rate in zip(tables, RATES, strict=False):
        bare_loop(X, BATCH, epochs, rate)


def many(args, n_rows, n_features, epochs, n_models):
    tables = [table(n_rows, n_features, seed) for seed in range(n_models)]
    runs = {
        "bare loops": partial(bare_loops, tables, epochs),
        "sktae one by one": partial(one_after_another, tables, epochs),
        "sktae fit_many": partial(stacked, tables, epochs),
    }
    for run in (bare_loops, one_after_another, stacked):
        run(tables[:4], 1)  # imports and first calls
    shares = dict.fromkeys(("bare loops", "sktae one by one"), 4 / n_models)
    setting = f"{n_models} models, {n_rows:,} x {n_features}, batch {BATCH}"
    laps = interleaved(runs, args.repeats)
    return rows_of(setting, laps, "bare loops", shares, epochs=epochs)


# -- searches --------------------------------------------------------------------------------------


def skorch_search(X, epochs, rates, folds, n_jobs):
    net = skorch_net(X.shape[1], BATCH, epochs, iterator_train__shuffle=True)
    grid = {"lr": rates, "module__n_components": CODES}
    return GridSearchCV(net, grid, cv=folds, n_jobs=n_jobs).fit(X, X).best_estimator_


def sktae_search(X, epochs, rates, folds, n_jobs, Search=GridSearchCV):
    grid = {"learning_rate": rates, "n_components": CODES}
    model = Autoencoder(**matched(BATCH, epochs))
    return Search(model, grid, cv=folds, n_jobs=n_jobs).fit(X).best_estimator_


def stacked_search(X, epochs, rates, folds, n_jobs):
    return sktae_search(X, epochs, rates, folds, n_jobs, StackedGridSearchCV)


SEARCHES = {
    "skorch, 1 job": (skorch_search, 1),
    "skorch, 2 jobs": (skorch_search, 2),
    "sktae, 1 job": (sktae_search, 1),
    "sktae, 2 jobs": (sktae_search, 2),
    "sktae stacked": (stacked_search, 1),
}


def searches(args, n_rows, n_features, epochs, n_rates, folds, most_jobs):
    X, rates = table(n_rows, n_features), RATES[:n_rates]
    wanted = {n: (run, jobs) for n, (run, jobs) in SEARCHES.items() if jobs <= most_jobs}
    runs = {n: partial(run, X, epochs, rates, folds, jobs) for n, (run, jobs) in wanted.items()}
    for run, jobs in wanted.values():
        run(X[:200], 1, rates[:1], 2, jobs)
    laps = interleaved(runs, args.repeats)
    for name in laps:
        if name.endswith("2 jobs"):
            laps[name] = [each._replace(cpu=math.nan) for each in laps[name]]
    n_fits = len(rates) * len(CODES) * folds
    setting = f"search of {n_fits} fits, {n_rows:,} x {n_features}, batch {BATCH}"
    return rows_of(setting, laps, "skorch, 1 job", epochs=epochs)


def main():
    args = arguments(__doc__, threads=2)
    n_rows, n_features, epochs, counts, *search = SETTINGS[args.size]
    rows = [row for k in counts for row in many(args, n_rows, n_features, epochs, k)]
    finish([*rows, *searches(args, n_rows, n_features, epochs, *search)], args)


if __name__ == "__main__":
    main()
