"""Servers that the backends are tested against, started by the tests themselves on loopback."""
