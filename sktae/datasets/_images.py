"""Images from files, read only when they are wanted."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch.utils.data import Dataset

# The endings of files that are images.
_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}


class ImageFolder(Dataset):
    """The images in a folder and its subfolders, in the order of their names.

    Give it to an autoencoder of images as `X`. Files are read when they are wanted, the next ones
    while the network trains on the last. It needs Pillow.

    Parameters
    ----------
    folder : str or path-like
        Where the images are.

    size : tuple of two ints or None, default=None
        Height and width to which images are resized. None if all have one size.

    mode : {"RGB", "L"}, default="RGB"
        Whether images have three channels, or one, in gray.

    transform : callable or None, default=None
        Gets an image, bytes of shape (channels, height, width), and returns what the autoencoder
        gets, such as a crop or a turn. None for the image itself.

    n_workers : int, default=1
        How many files are read at a time.

    Attributes
    ----------
    files : list of Path
        The files.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from PIL import Image
    >>> from sktae.datasets import ImageFolder
    >>> folder = tempfile.mkdtemp()
    >>> for number in range(3):
    ...     Image.fromarray(np.full((9, 12), number, np.uint8)).save(f"{folder}/{number}.png")
    >>> images = ImageFolder(folder, size=(6, 8))
    >>> len(images), images[2].shape, int(images[2].max())
    (3, (3, 6, 8), 2)
    """

    def __init__(
        self,
        folder: str | PathLike,
        size: tuple[int, int] | None = None,
        mode: Literal["RGB", "L"] = "RGB",
        transform: Callable[[np.ndarray], Any] | None = None,
        n_workers: int = 1,
    ):
        if mode not in ("RGB", "L"):
            raise ValueError(f"The mode of ImageFolder must be 'RGB' or 'L'. Got {mode!r} instead.")
        self.folder, self.size, self.mode = Path(folder), size, mode
        self.transform, self.n_workers = transform, n_workers
        paths = self.folder.rglob("*")
        self.files = sorted(path for path in paths if path.suffix.lower() in _ENDINGS)
        if not self.files:
            endings = ", ".join(sorted(_ENDINGS))
            raise FileNotFoundError(f"{str(self.folder)!r} holds no images, files of {endings}.")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> Any:
        image = self._read(self.files[number])
        return image if self.transform is None else self.transform(image)

    def __getitems__(self, numbers: Sequence[int]) -> list[Any]:
        with ThreadPoolExecutor(max(1, self.n_workers)) as pool:
            return list(pool.map(self.__getitem__, numbers))

    def _read(self, path: Path) -> np.ndarray:
        try:
            from PIL import Image
        except ImportError as error:
            raise ImportError("ImageFolder needs Pillow: pip install pillow.") from error
        with Image.open(path) as file:
            image: Any = file.convert(self.mode)
        if self.size is not None:
            height, width = self.size
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)


def pixels_of(item: Any) -> Any:
    """Return an image of Pillow, or the only image of a mapping, as an array; all else as it is.

    Its shape is (channels, height, width), or (height, width) in gray.
    """
    if isinstance(item, Mapping):
        arrays = {k: v for k, v in item.items() if _is_image(v) or np.ndim(v) > 0}
        if len(arrays) != 1:
            raise ValueError(
                f"Items of X are mappings with the keys {', '.join(map(repr, item))}, of which "
                f"{len(arrays)} hold arrays; give a Dataset whose items are the images alone."
            )
        (item,) = arrays.values()
    if not _is_image(item):
        return item
    image = item.convert("RGB") if item.mode == "P" else item  # colors by their numbers
    pixels = np.asarray(image)
    return pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels


def _is_image(item: Any) -> bool:
    """Return whether something is an image of Pillow, which may not be installed."""
    return hasattr(item, "getbands") and hasattr(item, "convert")
