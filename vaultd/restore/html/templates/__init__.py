"""The frames of all pages (Jinja2, everything escaped) with their style; nothing is loaded."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib import resources
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

PAGES: Final = (
    ("index.html", "Posts"),
    ("photos.html", "Photos"),
    ("comments.html", "Comments"),
    ("shared.html", "Shared"),
    ("conversations.html", "Messages"),
    ("contacts.html", "Contacts"),
    ("about.html", "About"),
    ("search.html", "Search"),
)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("vaultd.restore.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = source("style.css")
    made.globals |= {"pages": PAGES, "style": style, "style_hash": sha256(style)}
    return made


def template(name: str) -> Template:
    """Return a page's template."""
    return _environment().get_template(name)


def source(name: str) -> Markup:
    """Return a file of this folder as it is: our own style or script."""
    text = resources.files(__name__).joinpath(name).read_text("utf-8")
    return Markup(text)  # noqa: S704 - ours


def sha256(text: str) -> str:
    """Return a source's hash as a content security policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
