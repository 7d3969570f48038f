"""The source that reads accounts from a diaspora* pod's own database, read-only."""

from vaultd.sources.diaspora.source import DiasporaSource

__all__ = ["DiasporaSource"]
