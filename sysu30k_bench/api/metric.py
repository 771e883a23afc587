"""An accumulator of embeddings with the interface of a metric of torchmetrics."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence, Sized
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from sysu30k_bench.api.arrays import Matrix, Whole, image_names, matrix, whole_numbers
from sysu30k_bench.api.result import Result
from sysu30k_bench.api.score import score
from sysu30k_bench.errors import UsageError
from sysu30k_bench.processes import Ranks

Role = Literal["query", "gallery"]
_ROLES: tuple[Role, Role] = ("query", "gallery")


@dataclass
class _Rows:
    """What has been given for one role, batch by batch, on the CPU."""

    embeddings: list[np.ndarray] = field(default_factory=list)
    ids: list[np.ndarray] = field(default_factory=list)
    cams: list[np.ndarray] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(part) for part in self.embeddings)


_OPTIONS = frozenset(inspect.signature(score).parameters) - {
    "query", "gallery", "query_ids", "gallery_ids", "query_cams", "gallery_cams", "query_names", "gallery_names",
}  # fmt: skip
"""Those of `score` that are not collected."""


class RetrievalMetric:
    """Collects embeddings during a loop, and scores them at its end.

    It has the interface of torchmetrics' metrics (`update`, `compute`, `reset`) but does not need torchmetrics.
    Embeddings are moved to the CPU immediately, in float32.

    Args:
        distributed: Merge the images of all processes; each of them must then call `compute`. Images that a
            sampler gave to several processes are counted once if `names` are given.
        options: For `score`, such as `distractor_ids=0`, `same_camera="match"`, `top_k=50`.

    Example:
        >>> import torch
        >>> import sysu30k_bench as sb
        >>> metric = sb.RetrievalMetric()
        >>> metric.update(torch.eye(4)[:2], ids=[1, 2], cams=[1, 1], role="query")
        >>> metric.update(torch.eye(4), ids=[1, 2, 3, 4], cams=[2, 2, 2, 2], role="gallery")
        >>> metric.compute()["rank1"]
        1.0
    """

    def __init__(self, *, distributed: bool = False, **options: Any) -> None:  # noqa: ANN401  those of `score`
        unknown = options.keys() - _OPTIONS
        if unknown:
            raise UsageError(
                f"RetrievalMetric has no option {min(unknown)!r}", hint=f"it has {', '.join(sorted(_OPTIONS))}"
            )
        self._distributed = distributed
        self._options = options
        self._rows: dict[Role, _Rows] = {role: _Rows() for role in _ROLES}

    def update(
        self,
        embeddings: Matrix,
        ids: Whole,
        cams: Whole | None = None,
        *,
        role: Role,
        names: Sequence[str | os.PathLike[str]] | None = None,
    ) -> None:
        """Adds a batch; an empty one changes nothing.

        Args:
            embeddings: (n, D) floating point, on any device.
            ids: (n,) whole numbers.
            cams: (n,) whole numbers; of all batches or of none.
            role: `query` or `gallery`.
            names: n names of images; of all batches or of none.

        Raises:
            UsageError: Shapes, types or lengths do not fit; nothing was added.
        """
        if role not in _ROLES:
            raise UsageError(f"role is {role!r}", hint="query or gallery")
        rows = self._rows[role]
        if tuple(getattr(embeddings, "shape", ()))[:1] == (0,) and isinstance(ids, Sized) and len(ids) == 0:
            return  # the last batch of a loader whose images belong to other processes
        given = matrix("embeddings", embeddings)
        with np.errstate(over="ignore"):
            new = np.array(given, np.float32)  # a copy: the caller may use its memory again
        if np.isinf(new).any() and np.isfinite(given).all():
            raise UsageError("embeddings hold numbers beyond float32's, 3.4e38", hint="scale them down")
        people = whole_numbers("ids", ids, len(new), "embeddings")
        cameras = whole_numbers("cams", cams, len(new), "embeddings") if cams is not None else None
        called = image_names("names", names, len(new), role) if names is not None else None
        if len(rows):
            self._require_alike(rows, new, has_cams=cameras is not None, has_names=called is not None)
        rows.embeddings.append(new)
        rows.ids.append(people)
        rows.cams += [cameras] if cameras is not None else []
        rows.names += called or []

    def compute(self) -> dict[str, float]:
        """Returns the metrics by name.

        Raises:
            UsageError: Queries or gallery are missing, or only one of them has cameras.
            DataError: Embeddings are zero, NaN or infinite, or no query has a match.
        """
        return self.result().metrics

    def result(self) -> Result:
        """Returns the whole result, with intervals and ranking; see `compute`."""
        parts = {role: self._joined(role) for role in _ROLES}
        arguments: dict[str, Any] = {}
        for role, rows in parts.items():
            if not len(rows):
                raise UsageError(f"nothing was added for the {role}", hint=f"update(..., role='{role}')")
            arguments[role] = np.concatenate(rows.embeddings)
            arguments[f"{role}_ids"] = np.concatenate(rows.ids)
            arguments[f"{role}_cams"] = np.concatenate(rows.cams) if rows.cams else None
            arguments[f"{role}_names"] = rows.names or None
        return score(**{"name": "metric", **self._options, **arguments})

    def reset(self) -> None:
        """Removes all images that were added."""
        self._rows = {role: _Rows() for role in _ROLES}

    def to(self, device: torch.device | str) -> RetrievalMetric:  # noqa: ARG002  as torchmetrics's metrics have it
        """Returns itself: all embeddings stay on the CPU."""
        return self

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._rows.values())

    @staticmethod
    def _require_alike(rows: _Rows, new: np.ndarray, *, has_cams: bool, has_names: bool) -> None:
        width = rows.embeddings[0].shape[1]
        if new.shape[1] != width:
            raise UsageError(f"embeddings have {new.shape[1]} dimensions, and those before had {width}")
        if has_cams != bool(rows.cams) or has_names != bool(rows.names):
            what = "cams" if has_cams != bool(rows.cams) else "names"
            raise UsageError(f"{what} were given with some batches and not with others")

    def _joined(self, role: Role) -> _Rows:
        rows = self._rows[role]
        if not self._distributed:
            return rows
        whole = _Rows()
        for part in Ranks.of_program().gather(rows):
            whole.embeddings += part.embeddings
            whole.ids += part.ids
            whole.cams += part.cams
            whole.names += part.names
        if not whole.names:
            return whole
        _, first = np.unique(np.array(whole.names, object).astype(str), return_index=True)
        keep = np.sort(first)
        return _Rows(
            [np.concatenate(whole.embeddings)[keep]],
            [np.concatenate(whole.ids)[keep]],
            [np.concatenate(whole.cams)[keep]] if whole.cams else [],
            [whole.names[position] for position in keep.tolist()],
        )
