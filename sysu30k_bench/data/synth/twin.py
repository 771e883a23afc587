"""Writing the twin: queries, matches and distractors under the published names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sysu30k_bench.data.benchmarks.sysu30k import SYNTHETIC_MARK
from sysu30k_bench.data.synth.person import draw_looks
from sysu30k_bench.data.synth.scene import DIFFICULTIES, picture
from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.files import is_empty, unwritable, write_atomically
from sysu30k_bench.progress import Progress

FIRST_IDENTITY = 28_311
_GALLERY_CAMERA, _QUERY_CAMERA = 1, 2
_DISTRACTOR_IDENTITIES = 10_000_000
_TRAINING_IDENTITIES = 20_000_000


@dataclass(frozen=True)
class TwinRequest:
    """What to draw.

    Attributes:
        identities: Queries, each with one match.
        distractors: Images in `0000others`.
        difficulty: `easy`, `normal` or `hard`.
        seed: Seed of everything.
        training: Identities of the training set, other people than the test's; 0 for none.
        training_images: Images of each of them.
    """

    identities: int = 1000
    distractors: int = 10_000
    difficulty: str = "normal"
    seed: int = 0
    training: int = 0
    training_images: int = 10


IMAGES = "sysu_test_set_all"


class _Planned(NamedTuple):
    key: str
    looks: int
    camera: int
    image: int = 0


def write_twin(root: Path, request: TwinRequest, progress: Progress) -> Path:
    """Draws the twin below a folder, one image after another, so that memory does not grow with their number.

    The tree is the published one: `sysu_test_set_all/{query,gallery}/` and `meta/{query,gallery}.txt`. An interrupted
    call is finished by the same call; existing images are kept.

    Args:
        root: The folder.
        request: What to draw.
        progress: Receives the number of finished images.

    Returns:
        The folder with `query/` and `gallery/`.

    Raises:
        UsageError: The folder holds something else.
        DataError: The folder cannot be written.
    """
    _claim(root, request)
    images = root / IMAGES
    if not (images / SYNTHETIC_MARK).is_file():  # for an archive of this folder alone
        write_atomically(images / SYNTHETIC_MARK, (root / SYNTHETIC_MARK).read_bytes())
    trained = request.training * request.training_images
    progress.begin("drawing", 2 * request.identities + request.distractors + trained, "images")
    for role in ("query", "gallery"):
        for planned in _plan(role, request):
            _draw(root, images / planned.key, planned, request)
            progress.advance(1)
        lines = "".join(f"{planned.key.partition('/')[2]}\n" for planned in _plan(role, request))
        _require_mark(root)
        write_atomically(root / "meta" / f"{role}.txt", lines.encode())
    listed: list[str] = []
    for planned in _training(request):
        _draw(root, root / planned.key, planned, request)
        listed.append(f"{planned.key.partition('/')[2]}\n")
        progress.advance(1)
    if listed:
        write_atomically(root / "meta" / "train.txt", "".join(listed).encode())
        write_atomically(root / "meta" / "bag_level_label.json", _bags(request.training))
    progress.end()
    return images


def _training(request: TwinRequest) -> Iterator[_Planned]:
    """Images of each identity by two cameras in turn; the names tell which, as the published ones do not."""
    for number in range(1, request.training + 1):
        for image in range(request.training_images):
            camera = (_GALLERY_CAMERA, _QUERY_CAMERA)[image % 2]
            key = f"sysu_train_set_all/{number:010d}/{number:010d}_c{camera}_{image + 1}.jpg"
            yield _Planned(key, _TRAINING_IDENTITIES + number, camera, image)


def _bags(identities: int) -> bytes:
    """`bag_level_label.json` as published: labels from 0, clamped ones repeating."""
    entries = []
    for bag in range(3 * identities):
        centre, radius = divmod(bag, 3)
        labels = [min(max(label, 0), identities - 1) for label in range(centre - radius, centre + radius + 1)]
        folders = [f"{label:010d}/*" for label in labels]
        entries.append({"BagLabel": labels, "BagID": f"bag{bag:010d}", "BagImages": folders})
    return json.dumps(entries).encode()


def _plan(role: str, request: TwinRequest) -> Iterator[_Planned]:
    for number in range(request.identities):
        name = f"{FIRST_IDENTITY + number:09d}"
        if role == "query":
            yield _Planned(f"query/{name}/{name}_c{_QUERY_CAMERA}_2.jpg", number, _QUERY_CAMERA)
        else:
            yield _Planned(f"gallery/{name}/{name}_c{_GALLERY_CAMERA}_1.jpg", number, _GALLERY_CAMERA)
    if role == "gallery":
        for number in range(1, request.distractors + 1):
            key = f"gallery/0000others/0000others_c{_GALLERY_CAMERA}_{number}.jpg"
            yield _Planned(key, _DISTRACTOR_IDENTITIES + number, _GALLERY_CAMERA)


def _draw(root: Path, path: Path, planned: _Planned, request: TwinRequest) -> None:
    if path.is_file() and path.stat().st_size:
        return
    difficulty = DIFFICULTIES[request.difficulty]
    looks = draw_looks(np.random.default_rng([request.seed, 1, planned.looks]), difficulty.wardrobe)
    entropy = [request.seed, 2, planned.looks, planned.camera]
    rng = np.random.default_rng([*entropy, planned.image] if planned.image else entropy)
    content = picture(looks, planned.camera, rng, difficulty, request.seed)
    temporary = path.with_name(f"{path.name}.partial")
    try:
        if not path.parent.is_dir():
            _require_mark(root)
            path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error, len(content)) from error


def _require_mark(root: Path) -> None:
    """Stops where the folder was removed meanwhile: what is written then would be a folder that nobody can finish.

    Raises:
        DataError: It was.
    """
    if not (root / SYNTHETIC_MARK).is_file():
        raise DataError(f"{root} was removed while it was written", hint="run the same command again")


def _claim(root: Path, request: TwinRequest) -> None:
    mark = root / SYNTHETIC_MARK
    options = {key: value for key, value in asdict(request).items() if request.training or "training" not in key}
    said = (json.dumps({"drawn_by": "sysu30k-bench data synth", **options}, indent=1) + "\n").encode()
    if mark.is_file():
        if mark.read_bytes() != said:
            raise UsageError(
                f"{root} holds a twin drawn with other options", hint=f"see {mark}, or choose another folder"
            )
        return
    try:
        occupied = root.exists() and (not root.is_dir() or not is_empty(root))
    except OSError as error:
        raise DataError(f"cannot read {root}: {error.strerror}") from error
    if occupied:
        raise UsageError(f"{root} is not empty", hint="choose a new folder: existing files are never overwritten")
    write_atomically(mark, said)
