"""The engine: a batch is read, compared, packed, committed; one archive per account and target."""
