"""Readers: rows of a diaspora* database become records."""
