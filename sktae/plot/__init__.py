"""Displays of fits, scores, reasons, images, codes, attention and series, by matplotlib."""

from sktae.plot._attention import AttentionDisplay
from sktae.plot._detection import DetectionCurveDisplay
from sktae.plot._latent import LatentDisplay
from sktae.plot._map import MapDisplay
from sktae.plot._reasons import ReasonsDisplay
from sktae.plot._reconstruction import ReconstructionDisplay, ReconstructionWriter
from sktae.plot._score import ScoreDisplay
from sktae.plot._sequence import SequenceDisplay
from sktae.plot._series import SeriesDisplay
from sktae.plot._training import TrainingDisplay

__all__ = [
    "AttentionDisplay",
    "DetectionCurveDisplay",
    "LatentDisplay",
    "MapDisplay",
    "ReasonsDisplay",
    "ReconstructionDisplay",
    "ReconstructionWriter",
    "ScoreDisplay",
    "SequenceDisplay",
    "SeriesDisplay",
    "TrainingDisplay",
]
