"""Change detection: which accounts have other rows than when they were last up to date."""
