"""A file of safetensors with a description in JSON: written at once or not, and checked when read.

The file is one of safetensors, which holds arrays and strings only. Its metadata has two entries:
"sktae", the description, and "sha256", a hash of the description and of all arrays.
"""

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

_DESCRIPTION, _HASH = "sktae", "sha256"

_NEVER = "which load never opens, since it can run code"
# How files of others begin, and what is said of them.
_OTHERS = {
    rb"\Z": "It is empty.",
    rb"\x80[\x02-\x05]": f"It looks like a pickle, {_NEVER}.",
    rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b|BZh|\xfd7zXZ|\x5d\0\0|\x04\x22\x4d\x18": (
        f"It looks like a compressed pickle, as of joblib, {_NEVER}."
    ),
    rb"PK\x03\x04": "It looks like a zip archive, as torch.save and skops write.",
    rb"\x08[\x01-\x1f]\x12": "It looks like a graph of ONNX, which runtimes of ONNX open.",
    rb".{7}\0\{": "It looks like safetensors, but of another library, or damaged.",
}


def write(path: str | os.PathLike[str], text: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a description and its arrays; whatever goes wrong, no half of a file is left."""
    metadata = {_DESCRIPTION: text, _HASH: _digest(text, arrays)}
    with replacing(path) as temporary:
        save_file(dict(arrays), temporary, metadata)


def named(path: str | bytes | os.PathLike[Any]) -> str:
    """Return a path as a string."""
    name = os.fsdecode(path)
    if not name:
        raise ValueError("The path is empty: name a file.")
    return name


def checked(path: str | bytes | os.PathLike[Any]) -> Path:
    """Return a path to which a file can be written, or raise and say why it cannot."""
    path = Path(named(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {str(path.parent)!r} does not exist: make it first.")
    if path.exists() and not path.is_file():
        raise IsADirectoryError(f"{str(path)!r} is no file, so no file can take its place.")
    return path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]):
    """Give the path of a new file that takes the place of another one once it is complete."""
    path = checked(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def read(path: str | os.PathLike[str]) -> tuple[str, dict[str, np.ndarray]]:
    """Return the description and the arrays of a file, or raise if it is damaged or another's."""
    path = named(path)
    with open(path, "rb") as file:  # one that is missing or may not be read raises its own error
        beginning = file.read(16)
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata()
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text, sha256 = metadata.pop(_DESCRIPTION), metadata.pop(_HASH)
        if metadata:
            raise ValueError(f"unknown metadata {sorted(metadata)}")
    except Exception as error:
        sentences = [
            f"{path!r} was not written by sktae.save, or it is damaged ({error!r}).",
            *(what for how, what in _OTHERS.items() if re.match(how, beginning, re.DOTALL)),
        ]
        raise ValueError(" ".join(sentences)) from error
    if _digest(text, arrays) != sha256:
        raise ValueError(f"{path!r} is damaged: its content does not have its hash.")
    return text, arrays


def _digest(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"\0{name}\0{array.dtype.str}\0{arrays[name].shape}\0".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
