"""The common ground of the protocols: HTTP, TLS, sessions, bodies of uploads, walks."""
