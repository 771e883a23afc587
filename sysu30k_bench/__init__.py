"""Exact, resumable evaluation of person re-identification models on SYSU-30k.

    import sysu30k_bench as sb

    sb.score(query, gallery, query_ids=..., gallery_ids=...)   # arrays -> every metric, with intervals
    sb.evaluate("net.pth", data="SYSU-30k-released")           # a checkpoint, as the command `eval` does
    sb.evaluate(network, data=..., transform="resnet50")       # a network in memory, in a training loop
    sb.search(query, gallery, k=50)                            # exact nearest neighbours
    sb.load_run(path); sb.compare(a, b); sb.gate(new, old)

The names in `__all__` are the public interface (docs/api.md, docs/stability.md). Each is imported at its first use.
"""

from __future__ import annotations

import importlib

from sysu30k_bench._callable_room import make_callable
from sysu30k_bench._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sysu30k_bench.api.citation import cite
    from sysu30k_bench.api.data import open_data
    from sysu30k_bench.api.evaluate import evaluate
    from sysu30k_bench.api.log import log_result
    from sysu30k_bench.api.metric import RetrievalMetric
    from sysu30k_bench.api.result import Result
    from sysu30k_bench.api.runs import compare, gate, load_run
    from sysu30k_bench.api.score import score
    from sysu30k_bench.api.search import search
    from sysu30k_bench.api.splits import SplitResults
    from sysu30k_bench.errors import BenchError, CheckFailedError, DataError, IntegrityError, UsageError

__all__ = [
    "BenchError",
    "CheckFailedError",
    "DataError",
    "IntegrityError",
    "Result",
    "RetrievalMetric",
    "SplitResults",
    "UsageError",
    "__version__",
    "cite",
    "compare",
    "evaluate",
    "gate",
    "load_run",
    "log_result",
    "open_data",
    "score",
    "search",
]

_HOMES = {
    "cite": "api.citation",
    "compare": "api.runs",
    "evaluate": "api.evaluate",
    "load_run": "api.runs",
    "log_result": "api.log",
    "open_data": "api.data",
    "score": "api.score",
    "Result": "api.result",
    "RetrievalMetric": "api.metric",
    "SplitResults": "api.splits",
    **dict.fromkeys(("BenchError", "CheckFailedError", "DataError", "IntegrityError", "UsageError"), "errors"),
}

for _name in ("search", "gate"):
    make_callable(_name)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
