"""The table of metrics: its open-set part written out, and the direction of gains."""

from __future__ import annotations

import pytest

from sysu30k_bench.metrics.catalogue import FROM_RANKS, METRICS, OPEN_SET, MetricInfo


def test_open_set_metrics_are_a_miss_rate_and_two_match_rates_at_each_fpir() -> None:
    assert [METRICS[name] for name in OPEN_SET] == [
        MetricInfo("fnir_at_fpir1", "FNIR@FPIR 1 %", "lower", "open set", 0.01, None, main=True),
        MetricInfo("tpir1_at_fpir1", "TPIR@FPIR 1 %, rank 1", "higher", "open set", 0.01, 1, main=False),
        MetricInfo("tpir20_at_fpir1", "TPIR@FPIR 1 %, rank 20", "higher", "open set", 0.01, 20, main=False),
        MetricInfo("fnir_at_fpir10", "FNIR@FPIR 10 %", "lower", "open set", 0.1, None, main=True),
        MetricInfo("tpir1_at_fpir10", "TPIR@FPIR 10 %, rank 1", "higher", "open set", 0.1, 1, main=False),
        MetricInfo("tpir20_at_fpir10", "TPIR@FPIR 10 %, rank 20", "higher", "open set", 0.1, 20, main=False),
    ]


@pytest.mark.parametrize("name", [*FROM_RANKS, *OPEN_SET])
def test_a_gain_is_positive_where_the_second_value_is_better(name: str) -> None:
    """Fewer misses are better, and more of everything else."""
    assert METRICS[name].gain(0.25) == (-0.25 if name.startswith("fnir") else 0.25)
