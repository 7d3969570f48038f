"""FTP and FTPS: the backend, and what only it needs."""
