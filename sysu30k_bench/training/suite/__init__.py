"""A regression suite of self-supervised methods: is this implementation the method that it says it is?"""

from sysu30k_bench.training.suite.run import check_checkpoints, check_method

__all__ = ["check_checkpoints", "check_method"]
