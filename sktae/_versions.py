"""What is installed, for reports of errors."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import torch

# What sktae needs, and what its extras are made of.
_PACKAGES = (
    "sktae",
    "numpy",
    "pandas",
    "safetensors",
    "scikit-learn",
    "scipy",
    "skorch",
    "torch",
    "tqdm",
    "typer",
    "matplotlib",
    "pyarrow",
    "pynndescent",
    "aeon",
    "sktime",
    "onnx",
    "onnxscript",
    "onnxruntime",
)


def show_versions() -> None:
    """Show the versions of Python, of sktae and of what it uses, for a report of an error.

    Examples
    --------
    >>> import sktae
    >>> sktae.show_versions()
    System:
    ...
    torch:
           threads: ...
    """
    parts: dict[str, dict[str, object]] = {
        "System": {"python": sys.version.replace("\n", " "), "machine": platform.platform()},
        "Packages": {name: _installed(name) for name in _PACKAGES},
        "torch": {"threads": torch.get_num_threads(), "devices": ", ".join(_devices())},
    }
    for title, values in parts.items():
        lines = [f"{name:>14}: {value}" for name, value in values.items()]
        sys.stdout.write("\n".join([f"{title}:", *lines, ""]))


def _installed(name: str) -> str:
    """Return the version of a package, or that there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _devices() -> list[str]:
    """Return the devices that torch can use, with the names of GPUs."""
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    cuda = [f"cuda:{number} ({name})" for number, name in enumerate(gpus)]
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]
