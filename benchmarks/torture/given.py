"""The inputs that another project would give, in every format that is read."""

from __future__ import annotations

import shutil
import tomllib
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch

from sysu30k_bench.embeddings.store import Store


def write_features(run: Path, folder: Path) -> None:
    """Writes the embeddings of a run in every format of external features."""
    stores = {role: Store.open(run / "embeddings" / role) for role in ("query", "gallery")}
    labels = {role: store.labels() for role, store in stores.items()}
    keys = [key for one in labels.values() for key in one.key]
    rows = np.concatenate([store.embeddings() for store in stores.values()])
    np.savez(folder / "features.npz", embedding=rows, key=np.array(keys))
    np.save(folder / "features.npy", rows)
    pd.DataFrame({"key": keys}).to_csv(folder / "features.csv", index=False)
    with h5py.File(folder / "features.h5", "w") as file:
        file["embedding"], file["key"] = rows, keys
    pd.DataFrame({"key": keys, "embedding": list(rows)}).to_parquet(folder / "features.parquet")
    from scipy.io import savemat

    content = {}
    for role, store in stores.items():
        content |= {f"{role}_f": store.embeddings(), f"{role}_label": labels[role].person_id}
        content[f"{role}_cam"] = labels[role].camera_id
    savemat(folder / "features.mat", content)


def give(inputs: Path, bases: Path) -> None:
    """Copies the inputs into a folder in which they may be damaged."""
    from safetensors.torch import save_file

    from sysu30k_bench.training import recipe

    given = bases / "given"
    shutil.copytree(inputs, given, ignore=shutil.ignore_patterns("VIPeR", "b.pth"))
    shutil.copy(bases / "tar" / "twin.tar", given)
    with zipfile.ZipFile(given / "twin.zip", "w") as archive:
        for path in sorted((inputs / "twin").rglob("*.*")):
            archive.write(path, path.relative_to(inputs))
    save_file(torch.load(inputs / "a.pth", weights_only=True), given / "a.safetensors")
    package = Path(recipe.__file__).parents[1]
    shutil.copy(package / "training" / "recipes" / "tiny.toml", given / "recipe.toml")
    card = next(package.rglob("colour_stripes.toml"), package.parent / "adapters" / "colour_stripes.toml")
    text = card.read_text()
    assert tomllib.loads(text)
    (given / "card.toml").write_text(text)
