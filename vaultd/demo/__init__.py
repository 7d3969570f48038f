"""The demo: a made-up pod with the real schema, a day in its life, its death and return."""
