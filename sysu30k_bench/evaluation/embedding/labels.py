"""Persons and cameras of a run's queries, as its embeddings carry them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import DataError
from sysu30k_bench.evaluation.run_folder import RunFolder


def query_labels(run: Path) -> pd.DataFrame | None:
    """Reads who is on a run's queries, and by which camera.

    Args:
        run: The run folder.

    Returns:
        `person` and `camera`, by key; None where the run has no finished embeddings.

    Raises:
        IntegrityError: The embeddings are damaged.
    """
    try:
        labels = Store.open(RunFolder(run).embeddings("query")).labels()
    except DataError:
        return None
    return pd.DataFrame({"person": labels.person_id, "camera": labels.camera_id}, index=labels.key)
