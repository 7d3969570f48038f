"""A local folder (`file://`): the backend, and what only it needs."""
