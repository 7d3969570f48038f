"""Backing up: enrolment, runs, and upkeep; reports and figures of all three."""
