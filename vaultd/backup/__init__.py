"""The engine: enrolment and runs. One run writes one archive per changed account and target."""
