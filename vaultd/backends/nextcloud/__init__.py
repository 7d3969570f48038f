"""Nextcloud and ownCloud: WebDAV with big files in parts, discovery and log-in."""
