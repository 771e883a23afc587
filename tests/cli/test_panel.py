"""What the panel of a run says of the file: parts of a model, never counters; a whole model's own output."""

from __future__ import annotations

from sysu30k_bench.cli.panel import _network_output, _unused
from sysu30k_bench.results.record import Model

MODEL = Model(
    adapter="x",
    title="X",
    supervision="none",
    network="n",
    checkpoint="net.pth",
    weights_sha256="0" * 64,
    card_sha256="0" * 64,
    layout="plain",
    feature="pool5",
    flip="none",
    dimension=1,
    input="",
    compute="fp32",
    storage="float32",
    parameters=0,
    tensors_loaded=1,
)


def test_counters_are_no_parts_of_a_model() -> None:
    counters = ["bn1.num_batches_tracked", "layer1.0.bn1.num_batches_tracked"]
    assert _unused(counters) == ""
    assert _unused([*counters, "fc.weight", "fc.bias", "head.weight"]) == ", 3 of fc, head not used"


def test_a_whole_model_has_an_output_of_its_own() -> None:
    assert _network_output(MODEL) == "pool5, 1 dimension, flip none, 1 tensor loaded"
    whole = MODEL.model_copy(update={"layout": "whole model"})
    assert _network_output(whole) == "the model's own output, 1 dimension, flip none"
