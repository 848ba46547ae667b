"""How long things take, and how much memory: one loop over named cases."""

from importlib import import_module

from benchmarks._lib.cases import CASES

# A module adds its cases, in the order of the page.
for name in ("fits", "sequences", "images", "scores", "searches", "scaling", "parallel", "gpu"):
    import_module(f"{__name__}.{name}")

__all__ = ["CASES"]
