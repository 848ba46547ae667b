"""Warnings that point to the line of the user."""

import sys
import warnings

# Between that line and the one that warns, there may be code of these packages.
_PACKAGES = {"joblib", "sklearn", "skorch", "sktae", "sktae_cli", "torch"}


def warn(message: str) -> None:
    """Warn at the nearest call from outside of the library, and of those that it goes through."""
    # Python 3.12 has `skip_file_prefixes` for this.
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _PACKAGES:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)
