"""The command line: thin; it parses, calls, prints, and turns errors into exit codes."""
