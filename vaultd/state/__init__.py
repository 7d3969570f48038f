"""The daemon's memory: one SQLite file, a lock, and compact indexes. Losing it loses no backup."""
