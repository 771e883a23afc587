"""One contestant of the search benchmark, in a process of its own: loads, warms up, searches, and prints JSON.

`python -m benchmarks.search_peers NAME FOLDER`; FOLDER holds `query.npy`, `gallery.npy` and the store `store`.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil

K = 50
Answer = tuple[np.ndarray | None, np.ndarray | None]
"""Ranks of the matches (Q,), 1 is best, and the k best positions (Q, k); None for what a contestant does not give."""


def authors_loop(query: np.ndarray, gallery: np.ndarray) -> Answer:
    """A product and an argsort of everything, query by query."""
    ranks, top = np.empty(len(query), np.int64), np.empty((len(query), K), np.int64)
    for number, row in enumerate(query):
        order = np.argsort(gallery @ row)[::-1]
        ranks[number] = np.flatnonzero(order == number)[0] + 1
        top[number] = order[:K]
    return ranks, top


def numpy_argsort(query: np.ndarray, gallery: np.ndarray) -> Answer:
    """The whole score matrix, then an argsort of it."""
    order = np.argsort(-(query @ gallery.T), axis=1)
    return (order == np.arange(len(query))[:, None]).argmax(axis=1) + 1, order[:, :K]


def torchreid_compiled(query: np.ndarray, gallery: np.ndarray) -> Answer:
    """Torchreid's distance matrix and its compiled `rank_cy`, which gives CMC and mAP alone."""
    spec = importlib.util.find_spec("pyppbox_torchreid")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("pip install --no-deps pyppbox-torchreid==1.4.1.0")
    (path,) = Path(spec.submodule_search_locations[0]).glob("metrics/rank_cylib/rank_cy*.so")
    loader = importlib.util.spec_from_file_location("pyppbox_torchreid.metrics.rank_cylib.rank_cy", path)
    assert loader is not None
    assert loader.loader is not None
    rank_cy = importlib.util.module_from_spec(loader)
    loader.loader.exec_module(rank_cy)
    distances = 1 - query @ gallery.T
    people = np.concatenate([np.arange(len(query)), np.full(len(gallery) - len(query), -1000)]).astype(np.int64)
    cameras = np.zeros(len(gallery), np.int64)
    rank_cy.evaluate_cy(distances, people[: len(query)], people, cameras[: len(query)] + 1, cameras, 50, False)
    return None, None


def faiss_knn(query: np.ndarray, gallery: np.ndarray) -> Answer:
    """`faiss.knn`: the top-k alone."""
    import faiss

    return None, faiss.knn(query, gallery, K, metric=faiss.METRIC_INNER_PRODUCT)[1]


def faiss_flat(query: np.ndarray, gallery: np.ndarray) -> Answer:
    """`IndexFlatIP`, which copies the gallery: the top-k alone."""
    import faiss

    index = faiss.IndexFlatIP(gallery.shape[1])
    index.add(gallery)
    return None, index.search(query, K)[1]


def faiss_ground_truth(query: np.ndarray, gallery: np.ndarray) -> Answer:
    """`faiss.contrib.exhaustive_search.knn_ground_truth` over blocks: the top-k alone."""
    import faiss
    from faiss.contrib.exhaustive_search import knn_ground_truth

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, len(gallery), 16384):
            yield gallery[start : start + 16384]

    return None, knn_ground_truth(query, blocks(), K, metric_type=faiss.METRIC_INNER_PRODUCT)[1]


def usearch_exact(query: np.ndarray, gallery: np.ndarray) -> Answer:
    """Usearch's exact search: the top-k alone."""
    from usearch.index import MetricKind, search

    found = search(gallery, query, K, MetricKind.IP, exact=True)
    return None, np.asarray(found.keys, np.int64)


def ours(engine: str, wanted: str, folder: Path | None = None) -> Callable[[np.ndarray, np.ndarray], Answer]:
    """This package's search, from memory or from the store in a folder."""

    def run(query: np.ndarray, gallery: np.ndarray) -> Answer:
        import torch

        from sysu30k_bench.data.protocol import relevance
        from sysu30k_bench.embeddings.store import Store
        from sysu30k_bench.search.engines.choose import choose_engine
        from sysu30k_bench.search.gallery import ArrayGallery, StoreGallery
        from sysu30k_bench.search.search import block_rows_for, search

        people = np.arange(1, len(query) + 1)
        rest = np.full(len(gallery) - len(query), -1000)
        relevant = relevance(
            people, np.full(len(query), 2), np.concatenate([people, rest]), np.ones(len(gallery), np.int64)
        )
        rows: ArrayGallery | StoreGallery = ArrayGallery(gallery)
        if folder is not None and len(gallery) > len(query) * 4:
            store = Store.open(folder / "store")
            rows = StoreGallery(store, range(len(store)))
        chosen, _ = choose_engine(engine, torch.device("cpu"), wanted, 1e12)  # type: ignore[arg-type]
        memory = block_rows_for(2 * 10**9, len(query), query.shape[1])
        result = search(query, rows, relevant, chosen, top_k=K, block_rows=memory, fast=True)
        return result.above + 1, result.top_position

    return run


def contestants(folder: Path) -> dict[str, Callable[[np.ndarray, np.ndarray], Answer]]:
    """All contestants by name."""
    return {
        "ours, auto": ours("auto", "auto"),
        "ours, auto, from HDF5": ours("auto", "auto", folder),
        "ours, float32": ours("torch", "float32"),
        "ours, bf16": ours("torch", "bf16"),
        "ours, FAISS": ours("faiss", "float32"),
        "faiss.knn": faiss_knn,
        "faiss IndexFlatIP": faiss_flat,
        "faiss knn_ground_truth": faiss_ground_truth,
        "numpy argsort": numpy_argsort,
        "torchreid rank_cy": torchreid_compiled,
        "usearch exact": usearch_exact,
        "authors' loop": authors_loop,
    }


class Peak(threading.Thread):
    """Watches resident memory without what was there at its start."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process()
        self._base = self._process.memory_info().rss
        self.most = 0
        self.running = True

    def run(self) -> None:
        """Samples every 20 ms."""
        while self.running:
            self.most = max(self.most, self._process.memory_info().rss - self._base)
            time.sleep(0.02)


def main() -> None:
    """Runs the contestant named on the command line."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    from_store = name.endswith("HDF5")
    query = np.load(folder / "query.npy")
    gallery = np.load(folder / "gallery.npy", mmap_mode="r" if from_store else None)
    run = contestants(folder)[name]
    run(query, np.ascontiguousarray(gallery[: len(query) * 4]))
    peak = Peak()
    peak.start()
    started = time.perf_counter()
    ranks, top = run(query, gallery)
    seconds = time.perf_counter() - started
    peak.running = False
    given = {key: value for key, value in (("ranks", ranks), ("top", top)) if value is not None}
    np.savez(folder / "answer.npz", **given)
    sys.stdout.write(json.dumps({"seconds": seconds, "peak": peak.most}))


if __name__ == "__main__":
    main()
