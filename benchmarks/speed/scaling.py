"""How time and memory grow with the number of rows, and of points of a series."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks._lib.cases import case, compare, summed_up, table
from benchmarks._lib.measure import alone, lap, memory_rise
from sktae import Autoencoder, ConvolutionalAutoencoder, WindowedDetector
from sktae.datasets import TableDataset

CHUNK = 100_000


def write(path, n_rows, n_features):
    """Write a table in chunks, so that even a large one needs little memory here."""
    shape = (n_rows, n_features)
    mapped = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, n_rows, CHUNK):
        size = min(CHUNK, n_rows - start)
        mapped[start : start + size] = table(size, n_features, seed=start)
    mapped.flush()


def mapped_fit(path):
    X = np.load(path, mmap_mode="r")
    Autoencoder(max_steps=2, device="cpu", random_state=0).fit(X[:1000])  # imports, first calls
    return partial(Autoencoder(device="cpu", random_state=0).fit, X)


@case(
    "From a thousand rows to ten million",
    full=[(10**k, 30) for k in (3, 4, 5, 6, 7)],
    tiny=[(1000, 5)],
)
def scaling(args, n_rows, n_features):
    """How do the time and the memory of a default fit grow with the number of rows?

    The rows lie in a file that is mapped into memory; each fit has a process of its own. The memory
    counted is what the process takes for itself while it fits: the pages of the file are the
    system's, which takes them back when it needs to. The file is written to the folder for
    temporary files (`TMPDIR`) and deleted again.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        write(path, n_rows, n_features)
        return compare(
            args,
            f"{n_rows:,} x {n_features}",
            {"sktae": partial(alone, args, lap, mapped_fit, path)},
            "sktae",
            memory={"sktae": alone(args, memory_rise, mapped_fit, path)},
            file_mb=path.stat().st_size / 2**20,
        )


def write_parquet(path, n_rows, n_features):
    """Write a table as Parquet, a row group for each chunk."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    names = [f"x{number}" for number in range(n_features)]
    schema = pyarrow.schema([(name, pyarrow.float32()) for name in names])
    with ParquetWriter(path, schema) as writer:
        for start in range(0, n_rows, CHUNK):
            X = table(min(CHUNK, n_rows - start), n_features, seed=start)
            writer.write_table(pyarrow.table(list(X.T), names=names))


def parts(path, reader):
    """Yield the rows of a Parquet file as DataFrames."""
    if reader == "Polars":
        from polars import scan_parquet

        yield from scan_parquet(path).collect_batches(chunk_size=CHUNK)
    else:
        from pyarrow.parquet import ParquetFile

        # With `pre_buffer`, all that was read stays in memory.
        for batch in ParquetFile(path, pre_buffer=False, buffer_size=2**20).iter_batches(CHUNK):
            yield batch.to_pandas()


def timed(run):
    """Time a run and measure its memory, mapped files included."""
    laps = []
    rise = memory_rise(lambda: laps.append(lap(run)), field="VmRSS")
    return laps[0], rise


def stored_run(path, reader):
    """Return a function that fits and scores the rows of a file, warmed up on some of them."""
    source = path
    if reader == "Arrow":
        from pyarrow.dataset import dataset

        source = dataset(path)
    elif reader == "Polars":
        from polars import scan_parquet

        source = scan_parquet(path)
    few = next(parts(path, reader))[:1000]
    Autoencoder(max_steps=70, device="cpu", random_state=0).fit(few).score_samples(few)

    def run():
        model = Autoencoder(device="cpu", random_state=0).fit(TableDataset(source))
        for part in parts(path, reader):
            model.score_samples(part)
            model.transform(part)
        return model

    return run


@case(
    "A table in a Parquet file",
    full=[(reader, 10**k, 30) for k in (6, 7) for reader in ("path", "Arrow", "Polars")],
    tiny=[("path", 1000, 5)],
)
def parquet(args, reader, n_rows, n_features):
    """How much time and memory does it take to fit, score and encode a table in a Parquet file?

    A default fit of a `TableDataset`, given by its path, as a Dataset of Arrow or as a query of
    Polars, and then the scores and the codes of all rows, 100,000 rows at a time; each has a
    process of its own. The memory counted is all that the process holds beyond what it held after
    the imports and a first fit, the mapped pages of files included. The file, with row groups of
    100,000 rows, and the copy of it are written to the folder for temporary files (`TMPDIR`) and
    deleted again.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        write_parquet(path, n_rows, n_features)
        found = [alone(args, timed, stored_run, path, reader) for _ in range(args.repeats)]
        return list(
            summed_up(
                f"{n_rows:,} x {n_features}, {reader}",
                {"sktae": [each for each, _ in found]},
                "sktae",
                memory={"sktae": max(rise for _, rise in found)},
                file_mb=path.stat().st_size / 2**20,
            )
        )


def series_run(task, n_points):
    rng = np.random.default_rng(0)
    X = np.sin(np.arange(n_points) / 20) + 0.1 * rng.normal(size=n_points)
    X = X.reshape(-1, 1)
    WindowedDetector(random_state=0).fit(X[:500]).score_samples(X[:500])  # imports, first calls
    model = WindowedDetector(random_state=0)
    return partial(model.fit if task == "fit" else model.fit(X).score_samples, X)


@case(
    "From ten thousand points to a million",
    full=[(task, 10**k) for k in (4, 5, 6) for task in ("fit", "score")],
    tiny=[("score", 500)],
)
def series_scaling(args, task, n_points):
    """How do the time and the memory of a detector for series grow with the number of points?

    The default detector learns from all points, and then scores them; each fit and each score has a
    process of its own. The memory counted is what the process takes for itself beyond the series.
    """
    return compare(
        args,
        f"{task}, {n_points:,} points",
        {"sktae": partial(alone, args, lap, series_run, task, n_points)},
        "sktae",
        memory={"sktae": alone(args, memory_rise, series_run, task, n_points)},
    )


def large_run(kind, shape):
    """Return a function that fits and scores rows of this shape, warmed up on a few of them."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal(shape, np.float32)
    if kind == "series":
        X = np.sin(np.arange(len(X)) / 20)[:, np.newaxis].astype(np.float32) + 0.1 * X
    make = {
        "table": Autoencoder,
        "series": WindowedDetector,
        "images": partial(ConvolutionalAutoencoder, max_steps=20),
    }[kind]
    few = X[:500] if kind == "series" else X[:20]
    make(random_state=0).fit(few).score_samples(few)
    return lambda: make(random_state=0).fit(X).score_samples(X)


@case(
    "Memory of large tables, series and images",
    full=[
        ("table", (1_000_000, 30)),
        ("table", (200, 50_000)),
        ("series", (1_000_000, 1)),
        ("images", (200, 3, 128, 128)),
    ],
    tiny=[("table", (100, 5))],
)
def memory(args, kind, shape):
    """How much memory does it take to fit and to score, beyond the rows themselves?

    A fit and the scores of all its rows, which are float32 in memory; images are trained for 20
    steps. Each has a process of its own. A table in a file is in the case "scaling".
    """
    run = partial(alone, args, lap, large_run, kind, shape)
    size = 4 * np.prod(shape) / 2**20
    what = f"{kind}, {' x '.join(f'{n:,}' for n in shape)}"
    peak = {"sktae": alone(args, memory_rise, large_run, kind, shape)}
    return compare(args, what, {"sktae": run}, "sktae", memory=peak, rows_mb=size)
