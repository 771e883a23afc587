"""Environment and cost of a run."""

from __future__ import annotations

import platform
import resource
import sys
from importlib import metadata
from pathlib import Path

import torch

from sysu30k_bench._version import __version__
from sysu30k_bench.results.record import Machine

_LIBRARIES = (
    "torch",
    "torchvision",
    "timm",
    "faiss-cpu",
    "faiss-gpu",
    "onnxruntime",
    "openvino",
    "simplejpeg",
    "numpy",
    "pandas",
    "h5py",
    "pillow",
    "scipy",
    "statsmodels",
)


def this_machine(device: torch.device) -> Machine:
    """Describes this machine and its libraries.

    Args:
        device: Where the network or the search ran.
    """
    return Machine(
        tool=f"sysu30k-bench {__version__}",
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        processor=processor_name(),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        libraries=library_versions(),
    )


def library_versions() -> dict[str, str]:
    """Returns the versions of those libraries that can matter to a number, where installed."""
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def processor_name() -> str:
    """Returns the processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_memory_bytes() -> int:
    """Returns the largest resident memory that this process has had.

    Linux counts it for the program in `VmHWM`; `ru_maxrss` begins there with what the process that started it had.
    """
    try:
        status = Path("/proc/self/status").read_text("ascii")
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) * 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
