"""A finished run's ranks in a part of its gallery, found in its own embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import UsageError
from sysu30k_bench.evaluation.request import SearchRequest
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.progress import Progress
from sysu30k_bench.search.engines.choose import choose_device, choose_engine
from sysu30k_bench.search.gallery import ArrayGallery
from sysu30k_bench.search.norms import UNIT_TOLERANCE
from sysu30k_bench.search.ranking import Ranking, make_ranking
from sysu30k_bench.search.search import block_rows_for, search
from sysu30k_bench.words import count


def gallery_keys(folder: RunFolder) -> list[str]:
    """Returns the keys of a run's gallery, in order.

    Raises:
        DataError: The run has no finished embeddings.
        IntegrityError: They are damaged.
    """
    return Store.open(folder.embeddings("gallery")).labels().key


def rank_within(folder: RunFolder, keys: Sequence[str], request: SearchRequest, progress: Progress) -> Ranking:
    """Ranks some images of a run's gallery for its queries, exactly.

    Args:
        folder: The run folder; nothing is written into it.
        keys: The images; the part's embeddings are held in memory.
        request: How to search.
        progress: Told of rows done.

    Raises:
        DataError: The run has no finished embeddings.
        IntegrityError: They are damaged.
        UsageError: Some images are not in its gallery.
    """
    query, gallery = (Store.open(folder.embeddings(role)) for role in ("query", "gallery"))
    asked, labels = query.labels(), gallery.labels()
    place = {key: position for position, key in enumerate(labels.key)}
    missing = [key for key in keys if key not in place]
    if missing:
        raise UsageError(
            f"{count(len(missing), 'image is', 'images are')} not in the gallery of {folder.path}",
            details=missing[:20],
            hint="compare runs on one data set, without skipped damaged images",
        )
    positions = np.array([place[key] for key in keys], np.int64)
    relevant = relevance(asked.person_id, asked.camera_id, labels.person_id[positions], labels.camera_id[positions])
    work = float(len(query)) * len(keys) * query.dimension
    engine, _ = choose_engine(request.engine, choose_device(request.device), request.filter, work)
    result = search(
        query.embeddings(),
        ArrayGallery(gallery.rows(positions), keys),
        relevant,
        engine,
        top_k=int(relevant.match_counts.max()) + 1,
        block_rows=block_rows_for(request.memory, len(query), query.dimension),
        unit_tolerance=UNIT_TOLERANCE[gallery.identity.dtype],
        progress=progress,
    )
    return make_ranking(result, relevant, asked.key, list(keys), list(asked.damaged))
