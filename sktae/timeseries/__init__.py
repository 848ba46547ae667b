"""Time series: rows are timepoints, windows of them are judged."""
