"""Optional packages: what to install where one is missing. This package itself is on no registry."""

from __future__ import annotations

from sysu30k_bench.errors import DataError

EXTRAS = {
    "faiss-cpu": "cpu",
    "faiss-gpu": "gpu",
    "lightly": "ssl",
    "lightning-fabric": "train",
    "matplotlib": "plot",
    "numba": "cpu",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "openvino": "openvino",
    "pyarrow": "parquet",
    "simplejpeg": "fast",
    "timm": "timm",
    "transformers": "hf",
}
"""Packages by the names under which a registry has them, each with the extra of setup.cfg that brings it."""

_MODULES = {"faiss": "faiss-cpu", "lightning_fabric": "lightning-fabric", "torch_tensorrt": "torch-tensorrt"}


def missing_package(said: str, module: str) -> DataError:
    """Makes the error about an optional package that does not exist.

    Args:
        said: What needs it.
        module: The name by which it is imported, or under which a registry has it.
    """
    return DataError(said, hint=how_to_install(module))


def how_to_install(module: str) -> str:
    """Says how to install a package: by its own name, or with this package from a checkout.

    Args:
        module: The name by which it is imported, or under which a registry has it.
    """
    package = _MODULES.get(module, module.partition(".")[0])
    extra = EXTRAS.get(package)
    own = f" (or, in a checkout of this project, pip install '.[{extra}]')" if extra else ""
    return f"pip install {package}{own}"
