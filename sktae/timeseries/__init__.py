"""Outliers in time series: each row is a timepoint, and windows of rows are judged."""

from sktae.timeseries.detector import WindowedDetector

__all__ = ["WindowedDetector"]
