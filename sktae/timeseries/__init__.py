"""Outliers in time series: each row is a timepoint, and windows of rows are judged."""

from sktae.timeseries.detector import WindowedDetector
from sktae.timeseries.series_stream import SeriesStream

__all__ = ["SeriesStream", "WindowedDetector"]
