"""The kinds of files that are damaged, and the commands that read each."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.torture.jobs import (
    AUDIT,
    CLAIM,
    EVAL,
    INDEX,
    RENDER,
    RERANK,
    RESCORE,
    SELF,
    SMALL,
    SMALL_STEPS,
    SPLITS,
    SUBMIT,
    TINY,
    TRAIN,
    WATCH,
    Words,
)

_GIVEN = ("--output", "run", "--json")
_SCORE: Words = ("score", "run", "--json")
_SEARCH: Words = ("search", "run", "--json")
_REPORT: Words = ("report", "run")
_OTHER: Words = ("submit", "run", "--practice", "--board", "board", "--id", "other", *CLAIM[2:])
_RUNS: Words = ("runs", ".", "--json")
_CHECK: Words = ("leaderboard", "check", "board")
_SHOW: Words = ("leaderboard", "show", "board", "--json")
_AGAIN: Words = (*TRAIN, "--resume")


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: For the table.
        base: The folder of `bases/` with which the working folder begins.
        files: A pattern of the files, one of which is damaged.
        readers: Commands that read it, run one after another; each begins with the same folder.
        given: Whether it is an input that cannot contain a digest: then another answer is right, if `told` differs.
        told: A pattern of the files in which a digest of the input has to differ where the answer differs.
        before: Python that a reader's process runs first.
    """

    name: str
    base: str
    files: str
    readers: tuple[Words, ...]
    given: bool = False
    told: str = "run/result.json"
    before: str = ""


def _eval(file: str, *more: str) -> tuple[Words, ...]:
    return (("eval", file, *more, *_GIVEN),)


def _of(data: str) -> tuple[Words, ...]:
    return _eval("stripes.pth", "--data", data, *SMALL)


_STORES = "run/embeddings/*/manifest.json"
_DATA = ("--data", "../inputs/twin")
_STRIPES = ("eval", "../inputs/stripes.pth")
KINDS = [
    Kind("shard", "evaluated", "run/embeddings/*/shard-*.h5", (EVAL, _SEARCH)),
    Kind("shard of a submitted run", "board", "run/embeddings/*/shard-*.h5", (AUDIT,)),
    Kind("manifest.json", "evaluated", "run/embeddings/*/manifest.json", (EVAL, _SEARCH)),
    Kind("export.json", "evaluated", "run/export.json", (EVAL, _SEARCH, _SCORE)),
    Kind("search.json", "evaluated", "run/search.json", (EVAL, _SCORE, _REPORT, SUBMIT)),
    Kind("result.json", "evaluated", "run/result.json", (EVAL, _SCORE, _REPORT, SUBMIT, _RUNS)),
    Kind("ranking.csv", "evaluated", "run/ranking.csv", (EVAL, _SCORE, _REPORT, SUBMIT, _RUNS)),
    Kind("top.csv", "evaluated", "run/top.csv", (EVAL, _SCORE, _REPORT, SUBMIT, _RUNS)),
    Kind("splits.json and its runs", "splits", "run/**/*.*",
         (SPLITS, _RUNS)),
    Kind("saved search state", "halted", "run/search-state-*.npz", (_SEARCH,), before=SMALL_STEPS),
    Kind("neighbour graph", "graph", "run/neighbours.h5", (SELF,)),
    Kind("part of a graph", "parts", "run/neighbours-*.npz", (SELF,), before=SMALL_STEPS),
    Kind("state of a re-ranking", "reranking", "run/reranked/neighbours-*.npz", (RERANK,), before=SMALL_STEPS),
    Kind("tar index", "indexed", ".twin.tar.index.sqlite",
         ((*_STRIPES, "--data", "twin.tar", *_GIVEN, *SMALL), INDEX)),
    Kind("unfinished tar index", "indexing", ".twin.tar.index.sqlite.partial*", (INDEX,),
         before=SMALL_STEPS),
    Kind("training checkpoint, resumed", "trained", "net/last.pt", (_AGAIN,)),
    Kind("figures of a training", "trained", "net/epochs.csv", (_AGAIN,)),
    Kind("training checkpoint, evaluated", "trained", "net/best.pt", _eval("net/best.pt", *_DATA, *SMALL), given=True),
    Kind("row", "audited", "board/rows/*.json", (_CHECK, _SHOW, RENDER, RESCORE)),
    Kind("evidence", "audited", "board/evidence/*", (_CHECK, _SHOW, RENDER, RESCORE)),
    Kind("confirmation", "audited", "board/confirmations/**/*.json", (_CHECK, _SHOW, RENDER)),
    Kind("mark of a practice board", "audited", "board/practice.json", (_CHECK, RENDER, _OTHER)),
    Kind("rendered board", "audited", "board/*.*", (RENDER, (*RENDER, "--check"))),
    Kind("watch history", "watching", "watch/history.json", (WATCH,)),
    Kind("ranks of a watch", "watching", "watch/ranks/*", (WATCH,)),
    Kind("list of queries or gallery", "given", "twin/meta/[qg]*.txt", _of("twin"), given=True),
    Kind("mark of drawn data", "given", "twin/SYNTHETIC.json", _of("twin"), given=True),
    Kind("training list", "given", "twin/meta/train.txt",
         (("data", "bags", "twin", "--json"), ("train", "tiny", "--data", "twin", "--output", "net", *TINY)),
         given=True, told=""),
    Kind("image in a folder", "given", "twin/sysu_test_set_all/**/*.jpg", _of("twin"), given=True, told=_STORES),
    Kind("tar", "given", "twin.tar", _of("twin.tar"), given=True, told=_STORES),
    Kind("zip", "given", "twin.zip", _of("twin.zip"), given=True, told=_STORES),
    Kind("checkpoint .pth", "given", "a.pth", _eval("a.pth", *_DATA, *SMALL), given=True),
    Kind("checkpoint .safetensors", "given", "a.safetensors", _eval("a.safetensors", *_DATA, *SMALL), given=True),
    *(Kind(f"features .{end}", "given", f"features.{end}", _eval(f"features.{end}", *_DATA), given=True)
      for end in ("npz", "npy", "h5", "parquet")),
    Kind("features .mat", "given", "features.mat", _eval("features.mat"), given=True),
    Kind("card", "given", "card.toml", _eval("stripes.pth", *_DATA, "--adapter", "card.toml", *SMALL), given=True),
    Kind("recipe", "given", "recipe.toml",
         (("train", "recipe.toml", *_DATA, "--output", "net", *TINY),), given=True, told=""),
]  # fmt: skip
