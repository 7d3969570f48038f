"""The search page in a real browser, from a file, without a network."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.restore.account import account, comment, post
from tests.restore.point import FakePoint
from vaultd.restore.html import write_html

HOSTILE = "</script><script>document.title='owned'</script><!--<script> tomato \u2028 \"'\\"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pages")
    records = [*account(), post("hostile", text=HOSTILE, created_at="2019-02-03T04:05:06Z")]
    records += [post(f"many{n}", text=f"number {n}") for n in range(250)]
    records.append(comment("reply", "hostile", kind="received_comment", text="a tomato, too"))
    write_html(FakePoint(records), out)
    return out


def _dom(page: Path, word: str) -> str:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not installed (Debian's package chromium)")
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
         f"--user-data-dir={page.parent / '.browser'}", f"{page.as_uri()}#{word}"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout


def test_a_word_is_found_in_posts_and_comments_and_leads_to_them(pages: Path) -> None:
    dom = _dom(pages / "search.html", "tomato")
    assert "2 found" in dom
    links = re.findall(r'<li><a href="([^"]+)">', dom.partition('id="found"')[2])
    assert len(links) == 2
    for link in links:
        page, anchor = link.split("#")
        assert f'id="{anchor}"' in (pages / page).read_text()
        assert "tomato" in (pages / page).read_text()
    assert "owned" not in re.findall("<title>(.*?)</title>", dom)[0]
    assert "many more" not in dom


def test_what_is_not_there_is_not_found_and_a_long_list_is_cut(pages: Path) -> None:
    assert "0 found" in _dom(pages / "search.html", "potato")
    assert "the first 200 shown" in _dom(pages / "search.html", "number")


def test_years_lead_to_the_first_post_of_the_year(pages: Path) -> None:
    index = (pages / "index.html").read_text()
    links = dict(re.findall(r'<a href="([\w.-]+#y\d+)">(\d+)</a>', index))
    years = {year: link for link, year in links.items()}
    page, anchor = years["2019"].split("#")
    text = (pages / page).read_text()
    behind = text[text.index(f'id="{anchor}"') :]
    assert "2019-02-03 04:05" in behind[: behind.index("</article>")]


def test_a_part_says_so_on_every_page(tmp_path: Path) -> None:
    point = FakePoint(account())
    point.part = "only post"
    write_html(point, tmp_path)
    for page in tmp_path.glob("*.html"):
        assert "a part of the account: only post" in page.read_text()
