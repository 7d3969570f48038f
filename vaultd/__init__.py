"""vaultd: encrypted off-site backup and restore for diaspora* pods."""

__version__ = "0.1.0"
