"""A run: which accounts are looked at, cut into batches, and handed to workers."""
