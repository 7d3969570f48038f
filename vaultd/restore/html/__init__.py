"""Readable pages of an account: no network, no scripts, for a phone or a desk."""

from vaultd.restore.html.pages import HtmlReport, write_html

__all__ = ["HtmlReport", "write_html"]
