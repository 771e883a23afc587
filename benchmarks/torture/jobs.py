"""The commands that are attacked, and what each finds before it begins."""

from __future__ import annotations

import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.torture.given import give, write_features
from benchmarks.torture.processes import End, Shell
from benchmarks.torture.state import reset

Words = tuple[str, ...]
CLAIM = ("--id", "mine", "--method", "Mine", "--supervision", "none", "--source", "a", "--claimed-by", "b",
         "--weights", "c")  # fmt: skip
SMALL = ("--workers", "0", "--batch-size", "4", "--shard-rows", "5")
TINY = ("--set", "run.epochs=3", "--set", "run.validate_every=1", "--set", "run.validation_identities=2",
        "--set", "bags.identities_per_batch=4", "--set", "optimizer.milestones=[]")  # fmt: skip
BYOL = ("--set", "run.epochs=3", "--set", "run.batch=8", "--set", "run.save_every=1")
AUDIT = ("leaderboard", "audit", "mine", "--checkpoint", "../inputs/stripes.pth", "--data", "../inputs/twin",
         "--board", "board", "--run", "run", "--nonce", "a later commit", "--by", "auditor",
         "--workers", "0")  # fmt: skip


@dataclass(frozen=True)
class Job:
    """A command, in a working folder beside `inputs/`.

    Attributes:
        name: For the table.
        words: Its words.
        base: The folder of `bases/` with which the working folder begins.
        again: Words that are added after an interruption.
        printed: Whether what it prints is part of what has to be equal.
        before: Python that its process runs first: makes steps so small that a short command has many.
    """

    name: str
    words: Words
    base: str = "empty"
    again: Words = ()
    printed: bool = True
    before: str = ""

    def resumed(self, work: Path) -> Words:
        """Returns the words after an interruption: before the first checkpoint, a training is started again."""
        return self.words + (self.again if (work / "net" / "last.pt").is_file() else ())


SMALL_STEPS = """
from sysu30k_bench.data.trees import tar_index
from sysu30k_bench.evaluation.ranking import rank_gallery, search_step
from sysu30k_bench.search.exact import saved_search
from sysu30k_bench.search.graph import neighbours, together
tar_index._AT_ONCE = 7
neighbours.KEEP_SECONDS = together.KEEP_SECONDS = 0.0
search_step.part_rows_for = neighbours.part_rows_for = together.part_rows_for = lambda dimension: 5
rank_gallery.block_rows_for = lambda *sizes: 3
begun = saved_search.Kept.__init__
saved_search.Kept.__init__ = lambda self, path, every: begun(self, path, 0.0)
"""
DATA = ("--data", "../inputs/twin")
EVAL = ("eval", "../inputs/stripes.pth", *DATA, "--output", "run", *SMALL, "--json")
INPUT = "../inputs/stripes.pth"
TRAIN = ("train", "tiny", *DATA, "--output", "net", *TINY, "--export-net")
WATCH = ("watch", "nets", *DATA, "--output", "watch", "--distractors", "6", "--once")
SPLITS = ("eval", INPUT, "--data", "../inputs/VIPeR", "--split", "all", "--output", "run", *SMALL)
SYNTH = ("data", "synth", "drawn", "--identities", "6", "--distractors", "6", "--training", "2",
         "--training-images", "2")  # fmt: skip
RERANK = ("search", "run", "--rerank", "--k1", "5", "--k2", "2", "--json")
SELF = ("search", "run", "--self", "--top-k", "5", "--json")
INDEX = ("data", "index", "twin.tar", "--json")
RENDER = ("leaderboard", "render", "board")
RESCORE = ("leaderboard", "rescore", "mine", "--board", "board")
SUBMIT = ("submit", "run", "--practice", "--board", "board", *CLAIM)
JOBS = [
    Job("eval", EVAL),
    Job("export", ("export", INPUT, *DATA, "--output", "run", *SMALL), printed=False),
    Job("eval, 2 workers", (*EVAL, "--workers", "2")),
    Job("search", ("search", "run", "--json"), "exported", before=SMALL_STEPS),
    Job("search --self", SELF, "exported", before=SMALL_STEPS),
    Job("search --rerank", RERANK, "exported", before=SMALL_STEPS),
    Job("train tiny", TRAIN, again=("--resume",), printed=False),
    Job(
        "train byol_tiny",
        ("train", "byol_tiny", *DATA, "--output", "net", *BYOL, "--export-backbone"),
        again=("--resume",),
        printed=False,
    ),
    Job("watch --once", WATCH, "nets", printed=False),
    Job("submit --practice", SUBMIT, "evaluated"),
    Job("leaderboard audit", AUDIT, "board"),
    Job("leaderboard rescore", RESCORE, "board"),
    Job("leaderboard render", RENDER, "board"),
    Job("data index", INDEX, "tar", before=SMALL_STEPS),
    Job("eval of a tar", ("eval", INPUT, "--data", "twin.tar", "--output", "run", *SMALL, "--json"), "tar"),
    Job(
        "eval A B C",
        ("eval", "../inputs/a.pth", "../inputs/b.pth", INPUT, *DATA, "--output", "runs", *SMALL, "--json"),
    ),
    Job("eval features", ("eval", "../inputs/features.npz", *DATA, "--output", "run", "--json")),
    Job("eval --split all", SPLITS),
    Job("report", ("report", "run"), "evaluated"),
    Job("runs --html", ("runs", ".", "--html", "runs.html"), "evaluated", printed=False),
    Job("data synth", SYNTH),
]


class Scene:
    """The inputs, and the folders with which the commands begin."""

    def __init__(self, room: Path, shell: Shell) -> None:
        self.inputs = room / "inputs"
        self.bases = room / "bases"
        self.shell = shell

    def reset(self, base: str) -> None:
        """Makes the working folder what it was before."""
        reset(self.shell.work, self.bases / base)

    def make(self) -> None:
        """Draws people, saves small networks, and runs the commands whose results the attacked ones read."""
        done = self.bases / "complete"
        if done.exists():  # of an earlier run
            return
        for folder in (self.bases, self.inputs):
            shutil.rmtree(folder, ignore_errors=True)
        from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
        from sysu30k_bench.models.networks.colour_stripes import ColourStripes
        from sysu30k_bench.models.networks.tiny import TinyNet
        from sysu30k_bench.progress import Silent
        from tests.data.test_benchmarks import viper

        for folder in ("empty", "nets/nets", "tar"):
            (self.bases / folder).mkdir(parents=True)
        self.inputs.mkdir()
        twin = self.inputs / "twin"
        write_twin(twin, TwinRequest(12, 12, "hard", training=8, training_images=4), Silent())
        viper(self.inputs / "VIPeR", people=6)
        torch.save(ColourStripes().state_dict(), self.inputs / "stripes.pth")
        for seed, name in enumerate(("a", "b")):
            torch.manual_seed(seed)
            torch.save(TinyNet().state_dict(), self.inputs / f"{name}.pth")
            shutil.copy(self.inputs / f"{name}.pth", self.bases / "nets" / "nets")
        with tarfile.open(self.bases / "tar" / "twin.tar", "w") as tar:
            tar.add(twin, "twin")
        self.run("empty", "exported", ("export", "../inputs/stripes.pth", *DATA, "--output", "run", *SMALL))
        self.run("empty", "evaluated", EVAL)
        write_features(self.bases / "evaluated" / "run", self.inputs)
        self.run("evaluated", "board", SUBMIT)
        self.run("board", "audited", AUDIT, RENDER)
        self.run("empty", "trained", TRAIN)
        self.run("empty", "byol", ("train", "byol_tiny", *DATA, "--output", "net", *BYOL))
        self.run("nets", "watched", WATCH)
        shutil.copytree(self.bases / "watched", self.bases / "watching")
        torch.manual_seed(2)
        torch.save(TinyNet().state_dict(), self.bases / "watching" / "nets" / "c.pth")
        self.run("tar", "indexed", ("data", "index", "twin.tar"))
        self.run("exported", "graph", ("search", "run", "--self", "--top-k", "5"))
        self.run("empty", "splits", SPLITS)
        self.stop("exported", "halted", ("search", "run"), "saved_search.write_atomically", 3)
        self.stop("exported", "parts", ("search", "run", "--self", "--top-k", "5"), "neighbours.write_state", 2)
        self.stop("exported", "reranking", RERANK, "together.write_state", 2)
        self.stop("tar", "indexing", ("data", "index", "twin.tar"), "tar_index.sign", 3)
        give(self.inputs, self.bases)
        done.touch()

    def stop(self, base: str, name: str, words: Words, function: str, calls: int) -> None:
        """Keeps what a command leaves that is killed in a call of a function."""
        self.reset(base)
        code = f"""
real, calls = {function}, []
def last(*args):
    calls.append(None)
    if len(calls) > {calls}:
        import os
        os._exit(9)
    return real(*args)
{function} = last
"""
        end = self.shell.run(words, before=SMALL_STEPS + code)
        if end.code != 9:
            raise SystemExit(f"{' '.join(words)} was not stopped: {end.code}, {end.err}")
        shutil.copytree(self.shell.work, self.bases / name)

    def run(self, base: str, name: str, *commands: Words) -> End:
        """Runs commands that have to succeed, and keeps what they leave as another beginning."""
        self.reset(base)
        for words in commands:
            end = self.shell.run(words)
            if end.code:
                raise SystemExit(f"{' '.join(words)} ended with {end.code}: {end.err}")
        shutil.copytree(self.shell.work, self.bases / name)
        return end
