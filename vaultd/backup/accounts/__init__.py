"""Accounts come and go: enrolment, escrow, and what is left behind."""
