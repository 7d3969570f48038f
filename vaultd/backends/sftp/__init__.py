"""SFTP: the backend, and what only it needs."""
