"""The library lightly, imported in one place."""

from __future__ import annotations

import importlib
from typing import Any

from sysu30k_bench.extras import missing_package


def lightly_part(module: str, name: str) -> Any:  # noqa: ANN401  a class of lightly
    """Returns a class or function of lightly.

    Args:
        module: Without `lightly.`, such as `loss`.
        name: Of the class or function.

    Raises:
        DataError: lightly is not installed.
    """
    try:
        return getattr(importlib.import_module(f"lightly.{module}"), name)
    except ImportError as error:
        raise missing_package("self-supervised training needs the library lightly", "lightly") from error
    except AttributeError as error:
        raise missing_package(f"this version of lightly has no {module}.{name}", "lightly>=1.6") from error
