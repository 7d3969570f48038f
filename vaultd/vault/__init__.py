"""Format v1: immutable encrypted archives and blobs; `docs/format.md` is its specification."""
