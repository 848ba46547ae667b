"""A file of safetensors with a description in JSON: written at once or not, and checked when read.

The file is one of safetensors, which holds arrays and strings only. Its metadata has two entries:
"sktae", the description, and "sha256", a hash of the description and of all arrays.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

_DESCRIPTION, _HASH = "sktae", "sha256"


def write(path: str | os.PathLike[str], text: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a description and its arrays; whatever goes wrong, no half of a file is left."""
    metadata = {_DESCRIPTION: text, _HASH: _digest(text, arrays)}
    with replacing(path) as temporary:
        save_file(dict(arrays), temporary, metadata)


def checked(path: str | os.PathLike[str]) -> Path:
    """Return a path to which a file can be written, or raise and say why it cannot."""
    path = Path(path)
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
    with open(path, "rb"):  # a file that is missing or may not be read raises its own error
        pass
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata()
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text, sha256 = metadata.pop(_DESCRIPTION), metadata.pop(_HASH)
        if metadata:
            raise ValueError(f"unknown metadata {sorted(metadata)}")
    except Exception as error:
        raise ValueError(
            f"{os.fspath(path)!r} was not written by sktae.save, or it is damaged ({error!r})."
        ) from error
    if _digest(text, arrays) != sha256:
        raise ValueError(f"{os.fspath(path)!r} is damaged: its content does not have its hash.")
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
