"""Where accounts are read from: the database of a live pod, or an export file."""
