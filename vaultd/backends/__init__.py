"""Backends: where objects are kept; none of them knows what the bytes are."""
