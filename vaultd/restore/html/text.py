"""Texts of posts as safe HTML: a small Markdown; everything is escaped before anything is made."""

from __future__ import annotations

import re
from html import escape
from typing import Final

_LINK: Final = re.compile(
    r"\[([^\[\]\n]{1,300})\]\((https?://[^\s()<>\"\ue000\ue001]{1,1000}(?:\([^\s()<>\"\ue000\ue001]{0,200}\))?)\)"
)
_BARE: Final = re.compile(r"(?<![\w\"=>/])https?://[^\s<>\"\[\]\ue000\ue001]{1,1000}")
_MENTION: Final = re.compile(
    r"@\{(?:([^{};\n\ue000\ue001]{0,200});)?\s*([^{};@\s\ue000\ue001]{1,100}@[^{};\s\ue000\ue001]{1,200})\}"
)
_TAG: Final = re.compile(r"(?<![\w&#/])#([\w-]{1,100})")
_CODE: Final = re.compile(r"`([^`\n]{1,1000})`")
_STRONG: Final = re.compile(r"\*\*([^*\n]{1,1000})\*\*")
_EM: Final = re.compile(r"(?<![\w*_])[*_]([^*_\n]{1,1000})[*_](?![\w*_])")
_HOLD: Final = re.compile("\ue000(\\d+)\ue001")


def render(text: str) -> str:
    """Return safe HTML for a post's text; linear in its length."""
    text = text.replace("\ue000", "").replace("\ue001", "").replace("\0", "\ufffd")
    blocks: list[str] = []
    code: list[str] | None = None
    quote: list[str] = []
    items: list[str] = []
    lines: list[str] = []

    def close() -> None:
        if quote:
            blocks.append(f"<blockquote>{'<br>'.join(map(_inline, quote))}</blockquote>")
        if items:
            blocks.append("<ul>" + "".join(f"<li>{_inline(i)}</li>" for i in items) + "</ul>")
        if lines:
            blocks.append(f"<p>{'<br>'.join(map(_inline, lines))}</p>")
        quote.clear()
        items.clear()
        lines.clear()

    for line in text.replace("\r\n", "\n").split("\n"):
        if line.startswith("```"):
            if code is None:
                close()
                code = []
            else:
                blocks.append(f"<pre>{escape(chr(10).join(code))}</pre>")
                code = None
        elif code is not None:
            code.append(line)
        elif not line.strip():
            close()
        elif line.startswith(">"):
            if items or lines:
                close()
            quote.append(line[1:].strip())
        elif re.match(r"[*+-] ", line):
            if quote or lines:
                close()
            items.append(line[2:])
        elif line.startswith("#") and re.match(r"#{1,6} ", line):
            close()
            blocks.append(f"<h4>{_inline(line.lstrip('#').strip())}</h4>")
        else:
            if quote or items:
                close()
            lines.append(line)
    if code is not None:
        blocks.append(f"<pre>{escape(chr(10).join(code))}</pre>")
    close()
    return "\n".join(blocks)


def _inline(line: str) -> str:
    held: list[str] = []

    def hold(made: str) -> str:
        held.append(made)
        return f"\ue000{len(held) - 1}\ue001"

    def link(url: str, label: str) -> str:
        # `url` and `label` come from text that is escaped already.
        return hold(f'<a href="{url}" rel="noreferrer noopener">{label}</a>')

    safe = escape(line)
    safe = _CODE.sub(lambda m: hold(f"<code>{m[1]}</code>"), safe)
    safe = _MENTION.sub(
        lambda m: hold(f'<span class="who" title="{m[2]}">@{(m[1] or m[2]).strip()}</span>'), safe
    )
    safe = _LINK.sub(lambda m: link(m[2], m[1]), safe)
    safe = _BARE.sub(lambda m: link(m[0], m[0]), safe)
    safe = _TAG.sub(lambda m: hold(f'<span class="tag">#{m[1]}</span>'), safe)
    safe = _STRONG.sub(r"<strong>\1</strong>", safe)
    safe = _EM.sub(r"<em>\1</em>", safe)
    for _ in range(4):  # a label may hold a held piece
        safe, count = _HOLD.subn(lambda m: held[int(m[1])], safe)
        if not count:
            break
    return safe
