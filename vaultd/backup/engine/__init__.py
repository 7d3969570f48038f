"""The engine: a batch of accounts read, compared, packed, uploaded and committed."""
