"""`--format diaspora`: an account archive that diaspora*'s own importer accepts."""
