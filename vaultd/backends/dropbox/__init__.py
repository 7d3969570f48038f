"""Dropbox: the backend, and what only it needs."""
