"""`python -m vaultd`."""

from vaultd.cli.main import main

main()
