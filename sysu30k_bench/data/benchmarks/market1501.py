"""Market-1501, with and without its 500,000 distractors, and DukeMTMC-reID."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from sysu30k_bench.data.benchmarks.benchmark import inside, read_folder
from sysu30k_bench.data.benchmarks.market_layout import MarketLayout
from sysu30k_bench.data.naming.names import MARKET1501_DISTRACTOR, Labels, parse_dukemtmc, parse_market1501
from sysu30k_bench.data.split import Role, Split
from sysu30k_bench.data.trees.tree import Tree

_DISTRACTORS = ("distractors_500k", "distractors", "images")


class Market1501(MarketLayout):
    """`0000` images are distractors and ranked, `-1` images are junk (Zheng et al., ICCV 2015)."""

    name = naming = "market1501"
    needs = "query/ and bounding_box_test/ with names such as 0002_c1s1_000451_03.jpg, or gallery/ in layumi's layout"
    distractors = frozenset({MARKET1501_DISTRACTOR})
    below = ("", "Market-1501-v15.09.15", "market1501", "market1501/Market-1501-v15.09.15")
    example = "0002_c1s1_000451_03.jpg"

    @staticmethod
    def parse(name: str) -> Labels | None:
        """See `parse_market1501`."""
        return parse_market1501(name)


class Market1501With500k(Market1501):
    """The same with the 500,000 distractors that were published beside it: ranked, and nobody's match."""

    name = "market1501-500k"
    needs = "query/, bounding_box_test/ and distractors_500k/"

    def find(self, tree: Tree) -> str | None:
        """See `Benchmark`."""
        place = super().find(tree)
        return None if place is None or self._distractors(tree, place) is None else place

    def read(self, place: Tree, role: Role, split: int) -> Split:
        """See `Benchmark`."""
        part = super().read(place, role, split)
        folder = self._distractors(place, "")
        if role != "gallery" or folder is None:
            return part
        more = read_folder(place, role, folder, _distractor, self.example)
        return replace(part, table=pd.concat([part.table, more.table], ignore_index=True))

    @staticmethod
    def _distractors(tree: Tree, place: str) -> str | None:
        folders = [inside(place, folder) for folder in _DISTRACTORS]
        return next((folder for folder in folders if tree.has_folder(folder)), None)


def _distractor(name: str) -> Labels:
    """Whatever they are called, none of them is one of the 1,501."""
    labels = parse_market1501(name)
    return Labels(MARKET1501_DISTRACTOR, labels.camera_id if labels else 0)


class DukeMTMC(MarketLayout):
    """DukeMTMC-reID (Zheng et al., ICCV 2017); other identities without a query are its distractors."""

    name = naming = "dukemtmc"
    needs = "query/ and bounding_box_test/ with names such as 0005_c2_f0046985.jpg"
    note = "DukeMTMC was withdrawn by its authors in 2019: many venues no longer accept results on it"
    below = ("", "DukeMTMC-reID", "dukemtmc-reid", "dukemtmc-reid/DukeMTMC-reID")
    example = "0005_c2_f0046985.jpg"

    @staticmethod
    def parse(name: str) -> Labels | None:
        """See `parse_dukemtmc`."""
        return parse_dukemtmc(name)
