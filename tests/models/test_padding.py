"""SAME padding against ONNX Runtime's, whose `SAME_UPPER` is TensorFlow's and JAX's SAME."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from sysu30k_bench.models.networks.resnet import PortedResNet, same_margins
from tests.models.checkpoints import small_resnet


def onnx_layer(kind: str, kernel: int, stride: int, images: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    inputs = ["x"] if weight is None else ["x", "w"]
    node = helper.make_node(
        kind, inputs, ["y"], kernel_shape=[kernel, kernel], strides=[stride, stride], auto_pad="SAME_UPPER"
    )
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("x", floats, None)],
        [helper.make_tensor_value_info("y", floats, None)],
        [] if weight is None else [onnx.numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": images})[0])


@pytest.mark.parametrize("size", [(256, 128), (255, 127), (33, 64)])
@pytest.mark.parametrize("path", ["conv1", "maxpool", "layer2.0.conv2", "layer2.0.downsample.0"])
def test_every_strided_layer_pads_as_same(size: tuple[int, int], path: str) -> None:
    layer = PortedResNet(padding="same").get_submodule(path)
    channels = layer.in_channels if isinstance(layer, nn.Conv2d) else 3
    images = torch.randn(1, channels, *size)
    with torch.inference_mode():
        ours = layer(images).numpy()
    if isinstance(layer, nn.Conv2d):
        weight = layer.weight.detach().numpy()
        theirs = onnx_layer("Conv", layer.kernel_size[0], layer.stride[0], images.numpy(), weight)
    else:
        theirs = onnx_layer("MaxPool", 3, 2, images.numpy(), None)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_margins_by_hand() -> None:
    assert same_margins(224, 224, 7, 2) == (2, 3, 2, 3)
    assert same_margins(112, 56, 3, 2) == (0, 1, 0, 1)
    assert same_margins(7, 7, 3, 2) == (1, 1, 1, 1)
    assert same_margins(8, 8, 1, 2) == (0, 0, 0, 0)


def test_same_pool_changes_the_pooling_alone() -> None:
    network, plain = PortedResNet(padding="same_pool"), PortedResNet()
    assert isinstance(network.conv1, nn.Conv2d)
    assert network.conv1.padding == (3, 3)
    images = torch.randn(1, 64, 32, 32)
    assert not torch.equal(network.maxpool(images), plain.maxpool(images))
    assert set(network.state_dict()) == set(PortedResNet(padding="same").state_dict()) == set(plain.state_dict())


def test_options_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="padding is"):
        PortedResNet(padding="valid")  # type: ignore[arg-type]


def test_the_padding_goes_with_any_depth_that_the_file_shows() -> None:
    shown = PortedResNet.structure(small_resnet(block="basic", outputs=(4, 4, 8, 16)))
    assert shown is not None
    assert shown.options["block"] == "basic"
    network = PortedResNet(padding="same", **shown.options).eval()
    for convolution in (network.get_submodule("layer2.0.conv1"), network.get_submodule("layer2.0.downsample.0")):
        assert isinstance(convolution, nn.Conv2d)
        assert (convolution.stride, convolution.padding) == ((2, 2), (0, 0))
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 33, 64)).shape == (1, 16)
