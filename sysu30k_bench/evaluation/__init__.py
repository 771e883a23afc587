"""The main job, in three steps that also stand alone: export, search, score.

`evaluate` is the public function: the command line calls it, and so may a training script.
"""

from sysu30k_bench.evaluation.evaluate import evaluate
from sysu30k_bench.evaluation.request import EvalRequest

__all__ = ["EvalRequest", "evaluate"]
