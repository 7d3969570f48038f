"""The frame of every page: head, navigation, style. Nothing is loaded from anywhere."""

from __future__ import annotations

from html import escape
from typing import Final

PAGES: Final = (
    ("index.html", "Posts"),
    ("comments.html", "Comments"),
    ("conversations.html", "Messages"),
    ("contacts.html", "Contacts"),
    ("about.html", "About"),
)

_STYLE: Final = """
:root{--bg:#f6f5f1;--card:#fff;--ink:#23272b;--soft:#667079;--line:#e3e0d8;--accent:#2f6f9f;--mine:#dcebf5;--private:#8a5a00;--privatebg:#fdf1d8}
@media(prefers-color-scheme:dark){:root{--bg:#16191c;--card:#1f2428;--ink:#e6e8ea;--soft:#9aa5ae;--line:#30373d;--accent:#7db8e0;--mine:#24425a;--private:#f1c56b;--privatebg:#3a2f17}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,sans-serif;overflow-wrap:anywhere}
main,header,nav ul{max-width:46rem;margin:0 auto;padding:0 1rem}
header{display:flex;gap:1rem;align-items:center;padding:1.4rem 1rem .8rem}header h1{font-size:1.4rem;margin:0}header p{margin:0;color:var(--soft);font-size:.9rem}
.face{flex:none;width:4.2rem;height:4.2rem;border-radius:50%;object-fit:cover;background:var(--accent);color:#fff;display:grid;place-items:center;font-size:1.5rem}
nav{position:sticky;top:0;background:var(--bg);border-bottom:1px solid var(--line)}nav ul{display:flex;gap:.3rem;list-style:none;overflow-x:auto}
nav a{display:block;white-space:nowrap;padding:.7rem .6rem;color:var(--soft);text-decoration:none}nav a.here{color:var(--accent);box-shadow:inset 0 -2px var(--accent)}
a{color:var(--accent)}article,section{background:var(--card);border:1px solid var(--line);border-radius:.7rem;padding:1rem 1.1rem;margin:1rem 0}
article>footer,.meta{color:var(--soft);font-size:.85rem}.meta{display:flex;flex-wrap:wrap;gap:.6rem;margin-bottom:.4rem}
.private{color:var(--private);background:var(--privatebg);border-radius:1rem;padding:0 .6rem;font-weight:600}article.limited{border-left:4px solid var(--private)}
.photos{display:grid;grid-template-columns:repeat(auto-fit,minmax(12rem,1fr));gap:.5rem;margin:.6rem 0}.photos img{width:100%;height:auto;border-radius:.4rem;display:block}
.gone{padding:1.4rem;border:2px dashed var(--line);border-radius:.4rem;color:var(--soft);text-align:center}
.reply{border-top:1px solid var(--line);margin-top:.6rem;padding-top:.5rem;font-size:.95rem}.reply p,.bubble p{margin:.2rem 0}.tag,.who{color:var(--accent)}
blockquote{border-left:3px solid var(--line);margin:.5rem 0;padding:.1rem .8rem;color:var(--soft)}pre,code{font-family:ui-monospace,monospace;font-size:.9em;background:var(--bg);border-radius:.3rem;padding:.1rem .3rem;white-space:pre-wrap}
.bubble{max-width:85%;margin:.5rem 0;padding:.4rem .8rem;border-radius:.9rem;background:var(--bg)}.bubble.mine{margin-left:auto;background:var(--mine)}
.vote{display:flex;justify-content:space-between;border:1px solid var(--line);border-radius:.4rem;padding:.3rem .7rem;margin:.3rem 0}
.pager{display:flex;justify-content:space-between;margin:1rem 0 2rem}table{border-collapse:collapse;width:100%}td,th{text-align:start;padding:.35rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}
.list{list-style:none;padding:0;margin:0}.list li{padding:.35rem 0;border-bottom:1px solid var(--line)}.list small,td small{color:var(--soft)}
"""

_POLICY: Final = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'"


def page(*, title: str, head: str, here: str, body: str) -> str:
    """Return a whole page; `title` is plain text, `head` and `body` are HTML."""
    links = "".join(
        f'<li><a href="{name}"{" class=here" if name == here else ""}>{label}</a></li>'
        for name, label in PAGES
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<header>{head}</header>\n<nav><ul>{links}</ul></nav>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )
