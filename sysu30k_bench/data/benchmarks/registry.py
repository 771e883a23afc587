"""All benchmarks that can be read, by the name that `--dataset` takes."""

from __future__ import annotations

from sysu30k_bench.data.benchmarks.benchmark import Benchmark
from sysu30k_bench.data.benchmarks.cuhk03 import (
    Cuhk03Detected,
    Cuhk03DetectedClassic,
    Cuhk03Labeled,
    Cuhk03LabeledClassic,
)
from sysu30k_bench.data.benchmarks.market1501 import DukeMTMC, Market1501, Market1501With500k
from sysu30k_bench.data.benchmarks.msmt17 import Msmt17
from sysu30k_bench.data.benchmarks.small import Caviar4Reid, Cuhk01, Prid2011, Viper
from sysu30k_bench.data.benchmarks.sysu30k import Sysu30k

BENCHMARKS: dict[str, Benchmark] = {
    kind.name: kind()
    for kind in (
        Sysu30k,
        Market1501,
        Market1501With500k,
        DukeMTMC,
        Msmt17,
        Cuhk03Labeled,
        Cuhk03Detected,
        Cuhk03LabeledClassic,
        Cuhk03DetectedClassic,
        Cuhk01,
        Prid2011,
        Viper,
        Caviar4Reid,
    )
}

ASKED_FOR = ("market1501-500k", "cuhk03-labeled-classic", "cuhk03-detected-classic")
"""Those that fit wherever another does: never found from the layout, only by name."""
