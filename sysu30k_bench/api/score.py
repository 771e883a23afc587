"""From two arrays of embeddings to every number of a record."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import torch

from sysu30k_bench.api.arguments import engine_name, whole_number
from sysu30k_bench.api.arrays import (
    Matrix,
    Whole,
    image_names,
    matrix,
    same_width,
    unit_rows,
    whole_numbers,
)
from sysu30k_bench.api.ranked import result_of
from sysu30k_bench.api.result import Result
from sysu30k_bench.data.naming.names import JUNK
from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.data.split import rows_fingerprint
from sysu30k_bench.embeddings.shard import Labels
from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.evaluation.embedding.import_step import OWN_LABELS
from sysu30k_bench.evaluation.environment import peak_memory_bytes, this_machine
from sysu30k_bench.evaluation.ranking.rank_gallery import rank_gallery
from sysu30k_bench.evaluation.request import SearchRequest
from sysu30k_bench.evaluation.step_notes import ExportNotes
from sysu30k_bench.files import sha256_of_text
from sysu30k_bench.results.record import Data, Model
from sysu30k_bench.search.engines.choose import EngineName
from sysu30k_bench.search.gallery import ArrayGallery
from sysu30k_bench.words import count, queries_without_match, with_article

_NOBODY = -2
_GIVEN = "the embeddings and labels were given as arrays: neither could be checked"


def score(
    query: Matrix,
    gallery: Matrix,
    *,
    query_ids: Whole,
    gallery_ids: Whole,
    query_cams: Whole | None = None,
    gallery_cams: Whole | None = None,
    same_camera: Literal["junk", "match"] = "junk",
    distractor_ids: int | Iterable[int] = (),
    junk_ids: int | Iterable[int] = (JUNK,),
    query_names: Sequence[str | os.PathLike[str]] | None = None,
    gallery_names: Sequence[str | os.PathLike[str]] | None = None,
    top_k: int = 20,
    engine: EngineName = "auto",
    device: str = "auto",
    memory: int = 2_000_000_000,
    name: str = "arrays",
) -> Result:
    """Ranks a gallery for every query and computes every metric, as `eval` does for a features file.

    Rows are scaled to unit length in float64 and ranked in float32, so that scores are cosines. Ties are counted, and
    the numbers are expectations under a random order of tied images.

    Args:
        query: (Q, D) embeddings, an array or a tensor of any floating-point type on any device.
        gallery: (G, D) embeddings.
        query_ids: (Q,) identities, whole numbers; below 0 for queries of nobody, which have no match.
        gallery_ids: (G,) identities; below 0 for distractors, which are ranked and match nobody.
        query_cams: (Q,) cameras; omit both where images have none, and then every image of the person is a match.
        gallery_cams: (G,) cameras.
        same_camera: What a gallery image of the query's person and camera is: `junk`, which is not ranked (the rule of
            Market-1501, SYSU-30k and most others), or a `match`.
        distractor_ids: Further identities that stand for nobody, such as 0 in Market-1501.
        junk_ids: Identities whose gallery images are not ranked for any query.
        query_names: Q names of images, for the ranking; `query/0`, `query/1`, ... if omitted.
        gallery_names: G names.
        top_k: Gallery images to list for each query in `Result.top`.
        engine: `auto`, `faiss` or `torch`; all give the same ranks.
        device: `auto`, `cpu`, `cuda` or `cuda:N`, where the search runs.
        memory: Bytes that the search may use for its blocks.
        name: What comparisons call the result.

    Returns:
        The result, in memory. Queries without a match count as misses. It is never official.

    Raises:
        UsageError: An argument has another shape, type or length; it is named.
        DataError: Embeddings are zero, NaN or infinite; or no query has a match; or the device does not exist.

    Example:
        >>> import numpy as np
        >>> import sysu30k_bench as sb
        >>> gallery = np.array([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
        >>> result = sb.score([[0.9, 0.1], [0.5, 0.5]], gallery, query_ids=[7, 8], gallery_ids=[7, 8, 9])
        >>> result.rank1.value, result.rank5.value
        (0.5, 1.0)
        >>> result.ranking[["match", "rank_low", "rank_high"]].values.tolist()  # the second match ties with another
        [['gallery/0', 1, 1], ['gallery/1', 2, 3]]
    """
    started = time.perf_counter()
    if not isinstance(name, str):
        raise UsageError(f"name is {with_article(type(name).__name__)}, not a text")
    queries, rows = matrix("query", query), matrix("gallery", gallery)
    same_width(queries, rows)
    search = _search_request(top_k, engine, device, memory)
    nobody, junk = _labels("distractor_ids", distractor_ids), _labels("junk_ids", junk_ids)
    people = (
        _people(whole_numbers("query_ids", query_ids, len(queries), "query"), [*nobody, *junk], []),
        _people(whole_numbers("gallery_ids", gallery_ids, len(rows), "gallery"), nobody, junk),
    )
    cameras = _cameras(query_cams, gallery_cams, len(queries), len(rows), same_camera)
    labels = (
        Labels(image_names("query_names", query_names, len(queries), "query"), people[0], cameras[0], {}),
        Labels(image_names("gallery_names", gallery_names, len(rows), "gallery"), people[1], cameras[1], {}),
    )
    unmatched = int((relevance(people[0], cameras[0], people[1], cameras[1]).match_counts == 0).sum())
    if unmatched == len(queries):
        raise DataError(
            "no query has a match in the gallery",
            details=[f"query_ids: {_few(people[0])}", f"gallery_ids: {_few(people[1])}"],
            hint="query_ids and gallery_ids must number the same people, and a match is seen by another camera",
        )
    queries, rows = unit_rows("query", queries), unit_rows("gallery", rows)
    ranked = rank_gallery(queries, ArrayGallery(rows, labels[1].key), labels, search)
    exported = _notes(labels, queries.shape[1], time.perf_counter() - started - ranked.seconds, unmatched)
    return result_of(ranked, exported, name)


def _notes(labels: tuple[Labels, Labels], dimension: int, seconds: float, unmatched: int) -> ExportNotes:
    query, gallery = (
        rows_fingerprint(role, one.key, one.person_id, one.camera_id)
        for role, one in zip(("query", "gallery"), labels, strict=True)
    )
    reasons = [_GIVEN, *([queries_without_match(unmatched)] if unmatched else [])]
    return ExportNotes(
        model=Model(
            adapter="arrays",
            title="embeddings given as arrays",
            supervision="unknown",
            network="made elsewhere",
            checkpoint="none",
            weights_sha256="",
            card_sha256=sha256_of_text("arrays"),
            layout="arrays",
            feature="made elsewhere",
            flip="unknown",
            dimension=dimension,
            input="unknown",
            compute="fp32",
            storage="float32",
            parameters=0,
            tensors_loaded=0,
        ),
        data=Data(dataset=OWN_LABELS, root="memory", query_fingerprint=query, gallery_fingerprint=gallery, drawn=False),
        warnings=[],
        not_official_because=reasons,
        images_embedded=0,
        seconds=max(0.0, seconds),
        peak_memory_bytes=peak_memory_bytes(),
        processes=1,
        machine=this_machine(torch.device("cpu")),
        stores={},
        skipped_query=0,
        skipped_gallery=0,
    )


def _search_request(top_k: int, engine: EngineName, device: str, memory: int) -> SearchRequest:
    return SearchRequest(
        engine=engine_name(engine),
        device=device,
        memory=whole_number("memory", memory),
        top_k=whole_number("top_k", top_k),
    )


def _labels(name: str, value: int | Iterable[int]) -> list[int]:
    if not isinstance(value, int | np.integer | Iterable):
        raise UsageError(f"{name} is {value!r}; it is a whole number, or several")
    values = [value] if isinstance(value, int | np.integer) else list(value)
    return [int(one) for one in whole_numbers(name, np.array(values, None if values else np.int64), len(values), name)]


def _people(ids: np.ndarray, nobody: Sequence[int], junk: Sequence[int]) -> np.ndarray:
    """Converts the caller's labels to the protocol's: junk is -1, and distractors are any other number below 0."""
    people = np.where((ids == JUNK) | np.isin(ids, nobody), _NOBODY, ids)
    return np.where(np.isin(ids, junk), JUNK, people)


def _cameras(
    query: Whole | None, gallery: Whole | None, queries: int, rows: int, same_camera: str
) -> tuple[np.ndarray, np.ndarray]:
    if same_camera not in ("junk", "match"):
        raise UsageError(f"same_camera is {same_camera!r}", hint="junk or match")
    if (query is None) != (gallery is None):
        raise UsageError(
            f"{'query_cams' if query is None else 'gallery_cams'} is missing",
            hint="give cameras of both, or of neither",
        )
    if query is None or gallery is None or same_camera == "match":
        return np.zeros(queries, np.int64), np.ones(rows, np.int64)
    return (
        whole_numbers("query_cams", query, queries, "query"),
        whole_numbers("gallery_cams", gallery, rows, "gallery"),
    )


def _few(ids: np.ndarray) -> str:
    known = np.unique(ids)
    return (
        f"{count(len(known), 'identity', 'identities')} ({', '.join(map(str, known[:5]))}{', ...' * (len(known) > 5)})"
    )
