"""Displays of reconstructed images, of codes and of series, drawn with matplotlib."""

from sktae.plot._latent import LatentDisplay
from sktae.plot._reconstruction import ReconstructionDisplay, ReconstructionWriter
from sktae.plot._series import SeriesDisplay

__all__ = ["LatentDisplay", "ReconstructionDisplay", "ReconstructionWriter", "SeriesDisplay"]
