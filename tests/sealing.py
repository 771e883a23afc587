"""Documents of a run, changed on purpose: who changes one can make its digest anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sysu30k_bench.files import sha256_of_file
from sysu30k_bench.sealed import document_digest


def reseal(path: Path, **changes: Any) -> None:
    """Changes values at the top of a JSON document, and gives it the digest that fits."""
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({**values, "sha256": document_digest(values)}))


def retell(run: Path) -> None:
    """Lets the documents of a run folder tell of its `ranking.csv` and `top.csv` as they are now."""
    told = {f"{name}_sha256": sha256_of_file(run / f"{name}.csv") for name in ("ranking", "top")}
    for name in ("search.json", "result.json"):
        if (run / name).is_file():
            reseal(run / name, **told)
