"""The daemon: the clock, signals and systemd around the engine."""
