"""Readable pages of an account, for a phone or a desk: no network, a script for searching only."""

from vaultd.restore.html.pages import HtmlReport, write_html

__all__ = ["HtmlReport", "write_html"]
