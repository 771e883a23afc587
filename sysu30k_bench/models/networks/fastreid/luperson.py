"""LUPerson's fork of fast-reid (Fu et al., CVPR 2021; DengpanFu/LUPerson): the same names, a stem that pads by 1."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.fastreid.mgn import FastReidMGN
from sysu30k_bench.models.networks.fastreid.network import POOL_NOTE, STEM_NOTE, FastReid, FastReidAGW

FORK_NOTE = (
    "the stem pads its pooling by 1, as LUPerson's fork does; fast-reid before version 1.1 wrote the same names and "
    "does not pad (name its card with --adapter)"
)
AGW_NOTE = (
    "the pooling is assumed to be the mean, as in BoT: AGW pools by a generalised mean, which tensors do not show "
    "(--adapter luperson_agw)"
)


class LUPerson(FastReid):
    """A backbone and head of the fork."""

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads what fast-reid's reader reads."""
        return _padded(FastReid.structure(tensors))


class LUPersonAGW(FastReidAGW):
    """The same with the pooling of AGW."""

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads what fast-reid's reader reads."""
        return _padded(FastReidAGW.structure(tensors))


class LUPersonMGN(FastReidMGN):
    """The fork's MGN."""

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads what fast-reid's reader reads."""
        return _padded(FastReidMGN.structure(tensors))


def _padded(found: Structure | None) -> Structure | None:
    if found is None:
        return None
    notes = [{STEM_NOTE: FORK_NOTE, POOL_NOTE: AGW_NOTE}.get(note, note) for note in found.notes]
    return Structure({**found.options, "stem_pool": "max"}, found.input, notes)
