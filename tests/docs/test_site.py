"""The site that `make docs` builds: no warning, and nothing asked of another host."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

from tools.reference.pages import write
from tools.reference.source import ROOT

pytest.importorskip("mkdocs", reason="the documentation's tools are not installed: make docs")

# Addresses in the theme's scripts, and what in a page would make the browser ask them. No page may
# hold the second.
DORMANT: Final = {
    "https://unpkg.com/mermaid": 'class="mermaid"',
    "https://api.github.com/": 'data-md-component="source"',
    "https://unpkg.com/resize-observer-polyfill": "",  # asked by browsers of before 2020 alone
    "https://bit.ly/2s3ChXG": "",  # a link in a warning about versions, printed
    "https://clipboardjs.com/": "",  # in a licence's comment
    "http://lunrjs.com": "",
    "http://tartarus.org/": "",
}
ENVIRONMENT: Final = {
    "NO_MKDOCS_2_WARNING": "1",
    "PATH": "/usr/bin:/bin",
}  # the theme's makers print a banner otherwise


PICTURES: Final = ROOT / "docs" / "pictures"
LARGEST: Final = 200_000  # bytes


def test_pictures_are_small_and_a_drawn_one_asks_no_host() -> None:
    for picture in PICTURES.iterdir():
        assert picture.stat().st_size <= LARGEST, picture.name
        if picture.suffix == ".svg":
            assert not re.search(r"@import|@font-face|url\(['\"]?http|href=", picture.read_text())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; fails on any warning."""
    folder = tmp_path_factory.mktemp("site")
    write(ROOT / "docs" / "reference")
    command = (sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder))
    built = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, env=ENVIRONMENT
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


class Loads(HTMLParser):
    """Collects what a browser loads by itself when it opens a page."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag in {"script", "img", "iframe", "source", "video", "audio", "embed", "object"}:
            self.urls += [
                found[name] for name in ("src", "srcset", "data", "poster") if name in found
            ]
        elif tag == "link" and found.get("rel") not in {"canonical", "next", "prev", "alternate"}:
            self.urls.append(found.get("href", ""))


def _pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    assert len(_pages(site)) > 20
    for page in _pages(site):
        loads = Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert loads.urls
        assert [url for url in loads.urls if re.match(r"(\w+:)?//", url)] == []


def test_no_style_loads_anything_from_another_host(site: Path) -> None:
    styles = [path.read_text(encoding="utf-8") for path in (*site.rglob("*.css"), *_pages(site))]

    assert [
        found
        for text in styles
        for found in re.findall(r"(?:url\(|@import )['\"]?(?:https?:)?//[^)'\"]+", text)
    ] == []


def test_every_address_in_the_scripts_is_known_and_no_page_wakes_it(site: Path) -> None:
    folder = site / "assets" / "javascripts"
    scripts = "".join(
        path.read_text(encoding="utf-8")
        for path in (*folder.glob("*.js"), *folder.glob("workers/*.js"))
    )
    pages = "".join(page.read_text(encoding="utf-8") for page in _pages(site))

    for address in re.findall(r"https?://[\w.-]+[\w./-]*", scripts):
        (wake,) = (wake for known, wake in DORMANT.items() if address.startswith(known))
        assert not wake or wake not in pages
