"""Signs that embeddings have collapsed, or that query and gallery share images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from sysu30k_bench.words import count

COLLAPSED_RANK = 5.0
HUB_SHARE = 0.2
SAME_IMAGE = 1 - 1e-6


@dataclass(frozen=True)
class Health:
    """What a look at embeddings and top lists finds.

    Attributes:
        effective_rank: Of the query embeddings (see `effective_rank`).
        mean_cosine: Mean score between two different queries.
        hub_share: Share of queries whose best gallery image is one and the same.
        same_image: Queries whose best gallery image has the same embedding.
    """

    effective_rank: float
    mean_cosine: float
    hub_share: float
    same_image: int

    @property
    def warnings(self) -> list[str]:
        """What is unusual, a sentence each."""
        found = []
        if self.effective_rank < COLLAPSED_RANK:
            found.append(
                f"the embeddings may have collapsed: effective rank {self.effective_rank:.1f}, "
                f"mean cosine between queries {self.mean_cosine:.3f}"
            )
        if self.hub_share > HUB_SHARE:
            found.append(f"one gallery image is the best match of {self.hub_share:.0%} of the queries: a hub")
        if self.same_image:
            twins = count(self.same_image, "query has", "queries have")
            found.append(f"{twins} a gallery image with the same embedding: the same image may be in both lists")
        return found


def effective_rank(embeddings: np.ndarray) -> float:
    """Exponential of the entropy of the covariance's spectrum (Roy and Vetterli, EUSIPCO 2007).

    Args:
        embeddings: (N, D).

    Returns:
        Between 1, where all embeddings lie on a line, and min(N - 1, D); 0 where they are all the same.
    """
    centred = embeddings.astype(np.float64) - embeddings.mean(axis=0, dtype=np.float64)
    smaller = centred @ centred.T if len(centred) <= centred.shape[1] else centred.T @ centred
    spectrum = np.linalg.eigvalsh(smaller).clip(0)
    total = spectrum.sum()
    if total <= 1e-9 * len(embeddings):
        return 0.0
    shares = spectrum[spectrum > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))


def examine(queries: np.ndarray, top_position: np.ndarray, top_score: np.ndarray) -> Health:
    """Looks at the query embeddings and at each query's best gallery image.

    Args:
        queries: (Q, D) unit vectors.
        top_position: (Q, k) gallery positions, best first; -1 where there is none.
        top_score: (Q, k) float64.
    """
    count = len(queries)
    total = np.linalg.norm(queries.sum(axis=0, dtype=np.float64)) ** 2
    mean_cosine = (total - count) / (count * (count - 1)) if count > 1 else 0.0
    best = top_position[:, 0]
    hubs = np.bincount(best[best >= 0]) if (best >= 0).any() else np.zeros(1, int)
    return Health(
        effective_rank=effective_rank(queries),
        mean_cosine=float(np.clip(mean_cosine, -1, 1)),
        hub_share=float(hubs.max() / count) if count >= 20 else 0.0,
        same_image=int((top_score[:, 0] >= SAME_IMAGE).sum()),
    )


class Hubness(NamedTuple):
    """How unevenly images are spread over the best of all queries (Radovanovic et al., JMLR 2010).

    Attributes:
        reach: Images listed for each query.
        skewness: Of how often an image is listed, over the images that are at least once; 0 where all are alike.
        most: How often the most frequent one is.
        key: Which one that is.
    """

    reach: int
    skewness: float
    most: int
    key: str


def hubness(top: pd.DataFrame) -> Hubness | None:
    """Counts how often each image is among the best of the queries.

    Args:
        top: `query`, `place`, `gallery`, as `top.csv` has them.

    Returns:
        None where nothing is listed.
    """
    if top.empty:
        return None
    often = top["gallery"].value_counts(sort=True)
    spread = float(stats.skew(often.to_numpy(float))) if often.nunique() > 1 else 0.0
    return Hubness(int(top["place"].max()), spread, int(often.iloc[0]), str(often.index[0]))
