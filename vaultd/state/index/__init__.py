"""The index of a vault: which records its archives hold, in some tens of bytes a record."""
