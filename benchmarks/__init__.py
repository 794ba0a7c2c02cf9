"""Benchmarks against what people use now: `python -m benchmarks NAME`."""
