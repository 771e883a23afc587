"""A miniature of the training set in its published form."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image


def bag_entries(identities: int) -> list[dict[str, object]]:
    """`bag_level_label.json` by its rule, labels from 0, clamped labels repeating as in the published file."""
    entries: list[dict[str, object]] = []
    for bag in range(3 * identities):
        centre, radius = divmod(bag, 3)
        labels = [min(max(label, 0), identities - 1) for label in range(centre - radius, centre + radius + 1)]
        entries.append({"BagLabel": labels, "BagID": f"bag{bag:010d}", "BagImages": [f"{n:010d}/*" for n in labels]})
    return entries


def write_training_set(root: Path, identities: int = 6, lists: bool = True) -> Path:
    """Identity n has n images; `train.txt` and the bag file lie in `meta/`."""
    names = [f"{person:010d}/{number}.jpg" for person in range(1, identities + 1) for number in range(1, person + 1)]
    for place, name in enumerate(names):
        path = root / "sysu_train_set_all" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 16), (place * 11 % 256, 80, 30)).save(path)
    if lists:
        (root / "meta").mkdir()
        (root / "meta" / "train.txt").write_text("".join(f"{name}\n" for name in names))
        (root / "meta" / "bag_level_label.json").write_text(json.dumps(bag_entries(identities)))
    return root
