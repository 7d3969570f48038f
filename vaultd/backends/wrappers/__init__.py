"""Wrappers around any backend: retries, limits, counters; none knows a protocol."""
