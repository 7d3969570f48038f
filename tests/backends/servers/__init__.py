"""Servers that the backends' tests start for themselves: on loopback, on free ports."""
