"""From parsed options to requests."""

from __future__ import annotations

from typing import Any

from sysu30k_bench.evaluation.request import EvalRequest, ExportRequest, SearchRequest

_SEARCH = ("engine", "filter", "memory", "top_k")
_INPUT = ("height", "width", "interpolation", "channels", "scale", "mean", "std")


def eval_request(options: dict[str, Any], *, control: bool) -> EvalRequest:
    """Makes the request of `eval`.

    Args:
        options: The values of `export_options` and `search_options`.
        control: Whether to run the random control.
    """
    return EvalRequest(export_request(options), search_request(options), control)


def export_request(options: dict[str, Any]) -> ExportRequest:
    """Makes the request of `export` from the values of `export_options`."""
    chosen = {name: value for name, value in options.items() if name not in {*_SEARCH, *_INPUT}}
    seen = {name: options[name] for name in _INPUT if options.get(name) is not None}
    return ExportRequest(**{**chosen, "network_options": dict(chosen["network_options"]), "input": seen})


def search_request(options: dict[str, Any]) -> SearchRequest:
    """Makes the request of `search` from the values of `search_options` and `--device`."""
    return SearchRequest(device=options["device"], **{name: options[name] for name in _SEARCH})
