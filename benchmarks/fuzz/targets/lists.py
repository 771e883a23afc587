"""Names, lists of images, adapter cards, recipes and other texts."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.fuzz.mutate import bytewise, linewise
from benchmarks.fuzz.target import Target, as_file, as_folder
from sysu30k_bench.data.benchmarks.cuhk03_mat import Cuhk03Mat
from sysu30k_bench.data.images import DamagedImageError
from sysu30k_bench.data.naming import names
from sysu30k_bench.data.naming.recognise import count_others, namings_of
from sysu30k_bench.data.weak.open_training_set import open_training_set
from sysu30k_bench.embeddings.features.keys import read_keys
from sysu30k_bench.models.cards import read_card
from sysu30k_bench.plain_toml import parse_toml, parse_value
from sysu30k_bench.training.recipe import load_recipe
from sysu30k_bench.training.ssl.recipe import is_ssl_recipe, load_ssl_recipe

_PARSERS = [getattr(names, name) for name in dir(names) if name.startswith("parse_")]
_NAMINGS = ("sysu30k", "market1501")


def _names(path: Path) -> object:
    lines = path.read_bytes().decode("utf-8", "surrogateescape").splitlines()
    for line in lines:
        for parse in _PARSERS:
            parse(line)
    return [namings_of(lines), [count_others(lines, naming) for naming in _NAMINGS]]


def _card(path: Path) -> object:
    card = read_card(path)
    json.dumps(card.model_dump(mode="json"))
    return card


def _recipe(path: Path) -> object:
    return load_ssl_recipe(str(path)) if is_ssl_recipe(str(path)) else load_recipe(str(path))


def _toml(path: Path) -> object:
    text = path.read_bytes().decode("utf-8", "replace")
    parse_value(text.split("\n", 1)[0])
    return parse_toml(text)


def _training(root: Path) -> object:
    found = open_training_set(root)
    return [found.listed.keys(range(min(5, len(found.listed)))), found.notes]


def _cuhk03(path: Path) -> object:
    source = Cuhk03Mat(path, "labeled")
    keys, _, _ = source.listing()
    for key in keys[:50]:
        if source.size(key) >= 0:
            source.read(key)
    return source.test_people(1)


TARGETS = (
    Target("names", _names, as_file("list.txt"), linewise),
    Target("keys", read_keys, as_file("features.csv"), linewise),
    Target("card", _card, as_file("card.toml"), linewise),
    Target("recipe", _recipe, as_file("recipe.toml"), linewise),
    Target("toml", _toml, as_file("some.toml"), linewise, refusals=(ValueError,)),
    Target("training_list", _training, as_folder, linewise),
    Target("cuhk03", _cuhk03, as_file("cuhk-03.mat"), bytewise, refusals=(DamagedImageError,)),
)
