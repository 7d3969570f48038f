"""Upkeep of what is stored: retention carried out, damage healed, vaults erased."""
