"""A hook of the documentation's build: links to files outside `docs/` lead to the repository, where one is named."""

from __future__ import annotations

import posixpath
import re
from typing import Any

_LINK = re.compile(r"\[([^\]]*)\]\((\.\./[^)\s]*)\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:  # noqa: ANN401  objects of mkdocs
    """Rewrites links such as `../CONTRIBUTING.md`, which only the repository holds.

    Args:
        markdown: The page's text.
        page: The page.
        config: The configuration; its `repo_url` is empty where nobody has published the project.

    Returns:
        The text; without a repository the link's words stay, and the link goes.
    """
    folder = posixpath.dirname(page.file.src_uri)

    def lead(found: re.Match[str]) -> str:
        words, target = found.groups()
        path = posixpath.normpath(posixpath.join("docs", folder, target))
        return f"[{words}]({config.repo_url}/blob/main/{path})" if config.repo_url else words

    return _LINK.sub(lead, markdown)
