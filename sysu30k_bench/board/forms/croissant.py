"""The data set and its leaderboard in Croissant 1.1 (https://docs.mlcommons.org/croissant/), without any image."""

from __future__ import annotations

import json
from importlib import resources

from sysu30k_bench.board.practice import Rules
from sysu30k_bench.data.benchmarks.published import published_counts
from sysu30k_bench.errors import UsageError
from sysu30k_bench.files import sha256_of_bytes

_SOURCE = "https://github.com/wanggrun/SYSU-30k"
_TYPES = {"group": "sc:Integer", "n": "sc:Integer", "method": "sc:Text", "supervision": "sc:Text", "status": "sc:Text",
          "date": "sc:Text", "id": "sc:Text"}  # fmt: skip
_CITATION = (
    "@article{wang2021weakly, title={Weakly Supervised Person Re-ID: Differentiable Graphical Learning and a New "
    "Benchmark}, author={Wang, Guangrun and Wang, Guangcong and Zhang, Xujie and Lai, Jianhuang and Yu, Zhengtao and "
    "Lin, Liang}, journal={IEEE Transactions on Neural Networks and Learning Systems}, year={2021}}"
)


def croissant(rules: Rules, table: bytes, date: str) -> bytes:
    """Writes the description, which lies beside `leaderboard.csv`.

    Args:
        rules: Of the board.
        table: The bytes of `leaderboard.csv`.
        date: Of the board's newest row (ISO 8601).

    Raises:
        UsageError: A practice board has no data set that is published.
    """
    if rules.practice:
        raise UsageError("a practice board has no published data set to describe")
    context = json.loads(resources.files(__package__).joinpath("croissant_context.json").read_text("utf-8"))
    columns = table.decode().split("\n", 1)[0].split(",")
    gallery = rules.galleries[len(rules.galleries) // 2]
    parts = [("query", rules.queries), ("gallery", gallery)]
    whole = published_counts()["sysu30k"].whole
    if whole is not None:
        parts.append(("all", whole.images))
    made = {
        "@context": context,
        "@type": "sc:Dataset",
        "name": "SYSU-30k",
        "description": "Person re-identification with labels of bags: some 29.6 million images of 30,508 people. The "
        "images are given out by the authors under an agreement and are not part of this description, which holds the "
        "counts of the parts and the leaderboard of the test.",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "citeAs": _CITATION,
        "url": _SOURCE,
        "license": f"{_SOURCE}#readme",
        "version": "1.0.0",
        "datePublished": date,
        "creator": {"@type": "sc:Organization", "name": "the authors of SYSU-30k", "url": _SOURCE},
        "isLiveDataset": True,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "leaderboard.csv",
                "name": "leaderboard.csv",
                "description": "Results, best first; scores in per cent.",
                "contentUrl": "leaderboard.csv",
                "encodingFormat": "text/csv",
                "sha256": sha256_of_bytes(table),
            }
        ],
        "recordSet": [_leaderboard(columns), _parts(parts)],
    }
    return (json.dumps(made, indent=1, ensure_ascii=False) + "\n").encode()


def _leaderboard(columns: list[str]) -> dict[str, object]:
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"leaderboard/{name}",
            "name": name,
            "description": f"The column {name}.",
            "dataType": _TYPES.get(name, "sc:Float"),
            "source": {"fileObject": {"@id": "leaderboard.csv"}, "extract": {"column": name}},
        }
        for name in columns
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": "leaderboard",
        "name": "leaderboard",
        "description": "A row for each result.",
        "field": fields,
    }


def _parts(parts: list[tuple[str, int]]) -> dict[str, object]:
    fields = [
        {"@type": "cr:Field", "@id": f"parts/{name}", "name": name, "description": said, "dataType": kind}
        for name, said, kind in (
            ("part", "Which part.", "sc:Text"),
            ("images", "How many images it has, as published.", "sc:Integer"),
        )
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": "parts",
        "name": "parts",
        "description": "The parts of the data set, without their images.",
        "field": fields,
        "data": [{"parts/part": name, "parts/images": count} for name, count in parts],
    }
