"""What the site of the documentation needs beside mkdocs: mkdocs calls the functions of this file while it builds.

The pages are written for GitHub, where a link may lead to any file of the repository. The site has the README as a
page, and a copy of every other file that a page links to. A page that would look otherwise than on GitHub, and one
that loads something from a network, end the build, as a broken link does.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from mkdocs.structure.files import File, Files, InclusionLevel

from tests.helpers.pages import ROOT, split

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

README = ("README.md", "project.md")
"""Where the README lies, and the page of the site that it becomes."""

_LINK = re.compile(r"(?<=\]\()([^)\s:]+)(?=\))")
_BLOCKS = re.compile(r"<(h[1-6]|li|ol|ul|p|pre|tr|td|th|strong|em|code|blockquote)[ >]")
_LOADED = re.compile(r"<(?:link|script|img|iframe|source)\b[^>]*\b(?:href|src)=[\"'](?:https?:)?//[^>]*>")
_log = logging.getLogger("mkdocs.hooks.site")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the README, and the files outside of docs that pages link to."""
    outside, page = README
    files.append(File.generated(config, page, abs_src_path=str(ROOT / outside)))
    pages = [file for file in files if file.is_documentation_page()]
    for goal in sorted({goal for file in pages for goal in _outside(file)}):
        copy = File.generated(config, _copy(goal), abs_src_path=str(ROOT / goal), inclusion=InclusionLevel.NOT_IN_NAV)
        files.append(copy)
    return files


def _outside(file: File) -> set[str]:
    """The files outside of docs that a page links to, from the top of the checkout."""
    lines = split(Path(str(file.abs_src_path)).read_text(encoding="utf-8"))[0]
    targets = {target for _, line in lines for target in _LINK.findall(line)}
    goals = {_goal(file.src_uri, target)[0] for target in targets}
    return {goal for goal in goals if _place(goal) == _copy(goal)}


def _copy(goal: str) -> str:
    return f"files/{goal}.txt"  # so that a browser shows it


def _place(goal: str) -> str:
    """Where a file of the checkout is on the site; empty if there is no such file."""
    if goal == README[0]:
        return README[1]
    if goal.startswith("docs/"):
        return goal.removeprefix("docs/")
    return _copy(goal) if (ROOT / goal).is_file() else ""


def _goal(page: str, target: str) -> tuple[str, str]:
    """The file that a link on a page of the site leads to, from the top of the checkout, and the anchor."""
    path, _, anchor = target.partition("#")
    place = README[0] if page == README[1] else f"docs/{page}"
    return (os.path.normpath(os.path.join(os.path.dirname(place), path)) if path else place), anchor


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to where things are on the site."""

    def moved(match: re.Match[str]) -> str:
        goal, anchor = _goal(page.file.src_uri, match[1])
        there = _place(goal)
        if not there:
            return match[1]  # mkdocs says what is wrong with it
        relative = os.path.relpath(there, os.path.dirname(page.file.src_uri) or ".")
        return f"{relative}#{anchor}" if anchor else relative

    lines = markdown.split("\n")
    for number, line in split(markdown)[0]:
        lines[number - 1] = _LINK.sub(moved, line)
    return "\n".join(lines)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> None:
    """Warn where the page is not made of what GitHub makes of it: it reads lists and tables in a way of its own."""
    there = MarkdownIt("commonmark").enable("table").render(page.markdown or "")
    ours, theirs = (Counter(_BLOCKS.findall(text)) for text in (html, there))
    differ = {tag: (ours[tag], theirs[tag]) for tag in ours | theirs if ours[tag] != theirs[tag]}
    if differ:
        told = ", ".join(f"{one} of <{tag}> and not {other}" for tag, (one, other) in sorted(differ.items()))
        _log.warning("Doc file '%s' is not shown as on GitHub: %s", page.file.src_uri, told)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> None:
    """Warn of what a browser would load from elsewhere."""
    for found in _LOADED.findall(output):
        _log.warning("The page of '%s' loads from a network: %s", page.file.src_uri, found)
