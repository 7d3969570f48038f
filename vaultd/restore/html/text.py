"""Texts of posts as safe HTML: Markdown without raw HTML, with diaspora*'s mentions and tags."""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markupsafe import Markup

from vaultd.restore.importer_rules import MAX_TEXT

if TYPE_CHECKING:
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token

_URL: Final = re.compile(r"://[^\s<>\"\[\]`]{1,1000}")
_MENTION: Final = re.compile(r"@\{(?:([^{};\n]{0,200});)?\s*([^{};@\s]{1,100}@[^{};\s]{1,200})\}")
_TAG: Final = re.compile(r"#[\w-]{1,100}")
_WEB: Final = ("http://", "https://")
_AFTER_URL: Final = ".,;:!?)*_~'"


def render(text: str) -> Markup:
    """Return safe HTML for a post's text; what is longer than diaspora* takes stays plain."""
    if len(text) > MAX_TEXT:
        return Markup(f"<p>{escape(text)}</p>")  # noqa: S704 - escaped
    return Markup(_markdown.render(text))  # noqa: S704 - no raw HTML, see `_parser`


def _url(state: StateInline, silent: bool) -> bool:
    scheme = next((s for s in ("https", "http") if state.pending.endswith(s)), None)
    if scheme is None or state.linkLevel > 0:
        return False
    before = state.pending[: -len(scheme)]
    found = _URL.match(state.src, state.pos)
    if found is None or (before and (before[-1].isalnum() or before[-1] in "/=_")):
        return False
    address = found[0].rstrip(_AFTER_URL)
    if len(address) <= len("://"):
        return False
    if not silent:
        state.pending = before
        opened = state.push("link_open", "a", 1)
        opened.attrs = {"href": state.md.normalizeLink(scheme + address)}
        state.push("text", "", 0).content = scheme + address
        state.push("link_close", "a", -1)
    state.pos += len(address)
    return True


def _mention(state: StateInline, silent: bool) -> bool:
    found = _MENTION.match(state.src, state.pos)
    if found is None:
        return False
    if not silent:
        _span(state, "who", f"@{(found[1] or found[2]).strip()}", found[2])
    state.pos += len(found[0])
    return True


def _tag(state: StateInline, silent: bool) -> bool:
    before = state.src[state.pos - 1] if state.pos else " "
    found = _TAG.match(state.src, state.pos)
    if found is None or before.isalnum() or before in "&/#_":
        return False
    if not silent:
        _span(state, "tag", found[0], "")
    state.pos += len(found[0])
    return True


def _span(state: StateInline, name: str, shown: str, title: str) -> None:
    opened = state.push("span_open", "span", 1)
    opened.attrs = {"class": name, **({"title": title} if title else {})}
    state.push("text", "", 0).content = shown
    state.push("span_close", "span", -1)


def _link_open(
    self: RendererHTML,
    tokens: Sequence[Token],
    number: int,
    options: Any,
    env: MutableMapping[str, Any],
) -> str:
    tokens[number].attrSet("rel", "noreferrer noopener")
    return self.renderToken(tokens, number, options, env)


def _image(
    _self: RendererHTML,
    tokens: Sequence[Token],
    number: int,
    _options: Any,
    _env: MutableMapping[str, Any],
) -> str:
    # Pictures from elsewhere are not loaded: the pages work, and tell nobody, without a network.
    address = escape(str(tokens[number].attrs.get("src", "")))
    label = escape(tokens[number].content) or address
    return f'<a href="{address}" rel="noreferrer noopener">{label}</a>'


def _heading(
    self: RendererHTML,
    tokens: Sequence[Token],
    number: int,
    options: Any,
    env: MutableMapping[str, Any],
) -> str:
    tokens[number].tag = "h4"  # below the headings of the page itself
    return self.renderToken(tokens, number, options, env)


def _parser() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("strikethrough")
    made.validateLink = lambda url: url.lower().startswith(_WEB)  # type: ignore[method-assign]
    made.inline.ruler.before("emphasis", "mention", _mention)
    made.inline.ruler.before("emphasis", "tag", _tag)
    made.inline.ruler.before("emphasis", "bare_url", _url)
    made.add_render_rule("link_open", _link_open)
    made.add_render_rule("image", _image)
    made.add_render_rule("heading_open", _heading)
    made.add_render_rule("heading_close", _heading)
    return made


_markdown: Final = _parser()
