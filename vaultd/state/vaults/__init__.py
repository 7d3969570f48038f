"""Where each vault stands: its points, its pictures, what is to be deleted."""
