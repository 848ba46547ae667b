"""The engine: trains and runs networks. Knows networks and objectives, not estimators."""
