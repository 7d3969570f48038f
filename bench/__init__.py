"""Benchmarks: ratios and shares, measured in one run on one machine (docs/performance.md)."""
