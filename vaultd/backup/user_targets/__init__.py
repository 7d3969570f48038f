"""Targets that users bring themselves: set, opened in a run, left alone while they fail."""
