"""Bench qualification of boards: measurements with units, uncertainties, limits and verdicts."""
