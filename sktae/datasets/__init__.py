"""Images and tables from files, read only when they are wanted."""

from sktae.datasets._images import ImageFolder, pixels_of
from sktae.datasets._tables import TableDataset

__all__ = ["ImageFolder", "TableDataset", "pixels_of"]
