"""The common ground of the protocols: HTTP, guards against hostile addresses, bodies, walks."""
