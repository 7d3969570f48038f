"""What a pod needs before its first backup, and whether it has it (`vaultd check`)."""
