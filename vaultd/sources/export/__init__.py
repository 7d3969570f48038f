"""The source that reads an account archive written by diaspora*'s own exporter."""
