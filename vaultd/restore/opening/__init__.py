"""Which vault is meant: by a user's own words, or by the podmin's recovery words."""
