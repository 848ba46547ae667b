"""From residuals and codes to scores, contributions of features, and thresholds."""
