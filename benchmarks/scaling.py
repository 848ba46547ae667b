"""How do the time and the memory of a default fit grow with the number of rows?

The rows lie in a file that is mapped into memory; each size is fitted in a process of its own. The
memory counted is what the process takes for itself while it fits: the pages of the file are the
system's, which takes them back when it needs to.
"""

import tempfile
from pathlib import Path

import numpy as np
from timing import Lap, arguments, child, finish, lap, memory_rise, rows_of, served, table

from sktae import Autoencoder

N_FEATURES = 30
SIZES = {
    "full": (1000, 10_000, 100_000, 1_000_000, 10_000_000),
    "quick": (1000, 10_000, 100_000, 1_000_000),
    "tiny": (1000,),
}
CHUNK = 100_000


def write(path, n_rows):
    """Write a table in chunks, so that even a large one needs little memory here."""
    shape = (n_rows, N_FEATURES)
    mapped = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, n_rows, CHUNK):
        size = min(CHUNK, n_rows - start)
        mapped[start : start + size] = table(size, N_FEATURES, seed=start)
    mapped.flush()


def worker(path):
    """Time one default fit, and measure the memory of another one."""
    X = np.load(path, mmap_mode="r")
    Autoencoder(max_steps=2, device="cpu", random_state=0).fit(X[:1000])  # imports, first calls
    model = Autoencoder(device="cpu", random_state=0)
    return lap(lambda: model.fit(X)), memory_rise(lambda: model.fit(X))


def measure(args, folder):
    for n_rows in SIZES[args.size]:
        path = folder / "rows.npy"
        write(path, n_rows)
        found = [child(args, worker, path=str(path)) for _ in range(args.repeats)]
        laps = {"sktae": [Lap(*timed) for timed, _ in found]}
        memory = max(rise for _, rise in found)
        setting = f"{n_rows:,} x {N_FEATURES}"
        megabytes = path.stat().st_size / 2**20
        yield from rows_of(setting, laps, "sktae", memory_mb=memory, file_mb=megabytes)
        path.unlink()


def main():
    scratch = {"type": Path, "help": "where the tables are written and deleted again"}
    args = arguments(__doc__, scratch=scratch)
    if served(args, worker):
        return
    with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
        finish(list(measure(args, Path(folder))), args)


if __name__ == "__main__":
    main()
