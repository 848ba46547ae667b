"""From residuals and codes to scores, reasons and thresholds."""
