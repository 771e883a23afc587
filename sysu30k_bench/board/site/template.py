"""The pages' frame, style and script, which need nothing else and fetch nothing."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from importlib.resources.abc import Traversable

from jinja2 import Environment, FunctionLoader, StrictUndefined


def page_environment(beside: Traversable | None = None) -> Environment:
    """Returns what renders pages: everything is escaped, and only the script that is hashed in a page may run in it.

    Args:
        beside: A folder with templates of others' pages, looked into first.
    """
    folder = resources.files("sysu30k_bench.leaderboard").joinpath("template")

    def read(name: str) -> str:
        own = beside.joinpath(name) if beside is not None else None
        return (own if own is not None and own.is_file() else folder.joinpath(name)).read_text("utf-8")

    script = read("board.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, loader=FunctionLoader(read))
    environment.globals.update(
        practice="",
        style=read("board.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return environment
