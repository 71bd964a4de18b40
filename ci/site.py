"""Hook of mkdocs: copy the examples to the built site, then check every link and anchor there."""

from __future__ import annotations

import html.parser
import shutil
import urllib.parse
from pathlib import Path
from typing import Any


class _Page(html.parser.HTMLParser):
    """Links and anchors of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name in ("href", "src"):
                self.links.append(value)
            elif name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)


def dead_links(site: Path) -> list[str]:
    """Return each link of the site that leads to no file or no anchor, as `page: link`."""
    pages = {path: _Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    dead = []
    for path, page in pages.items():
        if path.name == "404.html":
            continue  # its links count from the address of the site
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path if not parts.path else (path.parent / urllib.parse.unquote(parts.path)).resolve()
            if target.is_dir():
                target /= "index.html"
            anchor = urllib.parse.unquote(parts.fragment)
            found = target.exists() and (not anchor or target not in pages or anchor in pages[target].anchors)
            if not found:
                dead.append(f"{path.relative_to(site)}: {link}")
    return dead


def on_post_build(config: Any) -> None:
    """Finish the site; mkdocs calls this at the end of each build."""
    site = Path(config["site_dir"]).resolve()
    examples = Path(config["config_file_path"]).parent / "examples"
    shutil.copytree(examples, site / "examples", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    dead = dead_links(site)
    if dead:
        raise SystemExit("dead links on the built site:\n  " + "\n  ".join(dead))
