"""Servers that the tests of the backends start: real ones, and small faithful ones."""
