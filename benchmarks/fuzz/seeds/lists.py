"""Names, training lists, cards, recipes and other texts."""

# ruff: noqa: E501  data: one file of a stranger a line

from __future__ import annotations

import io
import json
from importlib import resources

import h5py
import numpy as np

from benchmarks.fuzz.target import packed

_CARD = b"""name = "mine"
title = "Mine"
[network]
source = "torchvision:resnet50"
"""


def _recipe(package: str, name: str) -> bytes:
    return resources.files(package).joinpath(f"recipes/{name}.toml").read_bytes()


def _cards() -> dict[str, bytes]:
    card = resources.files("sysu30k_bench.adapters").joinpath("moco_v2.toml")
    whole = card.read_bytes() if card.is_file() else _CARD
    return {
        "valid": whole,
        "short": _CARD,
        "pattern": _CARD + b"[checkpoint]\nignore = ['(a+)+$', '((((((((((x*)*)*)*)*)*)*)*)*)*y']\n",
        "pattern-size": _CARD + b"[checkpoint]\nignore = ['((((a{1,999}){1,999}){1,999}){1,999})']\n",
        "unclosed": _CARD + b"[checkpoint]\nignore = ['" + b"(" * 490 + b"']\n",
        "numbers": _CARD + b"[input]\nheight = 9223372036854775807\nwidth = -1\n",
        "control": _CARD + b'["\\u001b[2J"]\na = 1\n',
        "value": b'name = "\\u001b[2J"\n',
    }


def _tomls() -> dict[str, bytes]:
    return {
        "dots": b"a" + b".a" * 400 + b" = 1\n",
        "arrays": b"a = " + b"[" * 3000 + b"\n",
        "tables": b"".join(b"[" + b".".join([b"t"] * number) + b"]\n" for number in range(1, 200)),
        "digits": b"a = " + b"9" * 9999,
        "float": b"a = 1e" + b"9" * 999,
        "date": b"a = 9999-99-99T99:99:99\n",
        "same": b"".join(b"a.k%d = 1\n" % number for number in range(3000)),
        "text": b'a = """' + b"\\" * 9999,
        "inline": b"a = " + b"{b = " * 500 + b"1" + b"}" * 500,
    }


def _bags(count: int) -> bytes:
    bag = {"BagLabel": [0, 1], "BagID": "bag0000000000", "BagImages": ["0000000001/*", "0000000002/*"]}
    return json.dumps([{**bag, "BagID": f"bag{number:010d}"} for number in range(count)]).encode()


def _training() -> dict[str, bytes]:
    listed = b"0000000001/1.jpg\n0000000001/2.jpg\n0000000002/1.jpg\n"
    lists = {"valid": listed, "far": listed + b"2147483647/1.jpg\n", "beyond": b"9999999999/1.jpg\n", "control": b"\x1b[2J\n",
             "wide": b"\xff\xfe" + listed.decode().encode("utf-16-le"), "half": b"\xff\xfe0", "nul": b"\0\n", "empty": b""}  # fmt: skip
    found = {name: packed({"train.txt": text}) for name, text in lists.items()}
    labels = {"bags": _bags(3), "deep": b"[" * 9999, "large": _bags(1).replace(b"[0, 1]", b"[0, 99999999999999999999]"),
              "far-bag": _bags(1).replace(b"[0, 1]", b"[0, 2147483646]")}  # fmt: skip
    return found | {name: packed({"train.txt": listed, "bag_level_label.json": text}) for name, text in labels.items()}


def _cuhk03() -> dict[str, bytes]:
    def write(**changes: object) -> bytes:
        made = io.BytesIO()
        with h5py.File(made, "w") as file:
            picture = (
                file.create_dataset("#refs#/a", data=np.zeros((3, 4, 6), np.uint8)) if "#refs#" not in file else None
            )
            people = file.create_dataset("#refs#/p", data=np.array([[picture.ref] * 2] * 10, h5py.ref_dtype))
            tests = file.create_dataset("#refs#/t", data=np.array([[1, 1], [1, 2]], "f8"))
            file["labeled"] = np.array([[people.ref]], h5py.ref_dtype)
            file["testsets"] = np.array([[tests.ref]], h5py.ref_dtype)
            for name, value in changes.items():
                if name in file:
                    del file[name]
                if isinstance(value, dict):
                    file.create_dataset(name, **value)
                else:
                    file[name] = value
        return made.getvalue()

    huge = {"shape": (1 << 24, 1 << 24), "dtype": "u1", "chunks": (1, 1 << 10), "compression": "gzip"}
    outside = {"shape": (6,), "dtype": "u1", "external": [("../secret.txt", 0, 6)]}
    return {
        "valid": write(),
        "huge": write(labeled=huge),
        "huge-lists": write(testsets=huge),
        "external": write(testsets=outside),
        "link": write(testsets=h5py.ExternalLink("../secret.txt", "/x")),
        "numbers": write(labeled=np.zeros((1, 1)), testsets=np.full((1, 1), np.nan)),
    }


def make() -> dict[str, dict[str, bytes]]:
    """Returns seeds by target and name."""
    names = "000028311_c2_2.jpg\n0001_c1s1_000151_01.jpg\n-1_c1s1_0_0.jpg\n0000others_c1_1.jpg\n0000_000_01_0303morning_0015_0.jpg\n"
    return {
        "names": {"valid": names.encode(), "digits": b"9" * 5000 + b"_c1_1.jpg\n", "scripts": "\u0662_c\u0661_1.jpg".encode(),
                  "repeats": b"_c1" * 5000 + b".jpg", "zeros": b"0" * 50_000 + b"_c" + b"0" * 50_000},
        "card": _cards(),
        "recipe": {"weak": _recipe("sysu30k_bench.training", "market1501_mgn"), "ssl": _recipe("sysu30k_bench.training.ssl", "dino"),
                   "control": b'["\\u001b[2J"]\nmethod = 1\n', "dots": _tomls()["dots"]},
        "toml": _tomls(),
        "training_list": _training(),
        "cuhk03": _cuhk03(),
    }  # fmt: skip
