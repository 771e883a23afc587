"""A training run as data: TOML, checked before anything starts."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sysu30k_bench.errors import UsageError
from sysu30k_bench.plain_toml import MAX_BYTES, parse_toml, parse_value

Positive = Annotated[int, Field(ge=1, le=1_000_000)]
Side = Annotated[int, Field(ge=1, le=4096)]
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BagsPart(_Part):
    """Where bags come from; see `training.plans`.

    Attributes:
        kind: `identities` groups strong labels, `windows` takes neighbouring ones, `published` reads the data set's.
        redraw: Group anew each epoch, as released; frozen bags leak nothing.
        identities_per_batch: Of `identities`: `batchid`.
        identities_per_bag: Of `identities`: `bagid`; 1 is strong supervision.
        images_per_identity: Of `identities`: `batchimage`.
        bags_per_batch: Of the others: `idnum`.
        images_per_bag: Of the others.
        draw: Of `windows`: `identity` as released, `bag` without its leak.
    """

    kind: Literal["identities", "windows", "published"] = "identities"
    redraw: bool = False
    identities_per_batch: Positive = 16
    identities_per_bag: Positive = 2
    images_per_identity: Positive = 4
    bags_per_batch: Positive = 12
    images_per_bag: Positive = 15
    draw: Literal["bag", "identity"] = "bag"


class NetworkPart(_Part):
    """What is trained.

    Attributes:
        name: `resnet50`, `mgn` or `tiny`.
        weights: A file of torchvision's ResNet-50, `imagenet` to download it, or nothing for random weights.
        norm: Of `tiny`: `batch` or `group`.
    """

    name: Literal["resnet50", "mgn", "tiny"] = "resnet50"
    weights: str = ""
    norm: Literal["batch", "group"] = "batch"


class InputPart(_Part):
    """Size and augmentation.

    Attributes:
        height: Rows that the network sees.
        width: Columns.
        resize_height: Rows before the random crop; as `height` where 0.
        resize_width: Columns before it; as `width` where 0.
        flip: Probability of mirroring.
        erasing: Probability of erasing a random rectangle (Zhong et al., AAAI 2020), filled with the mean colour.
        jitter: Strength of brightness, contrast and saturation jitter.
        padding: Pixels added on all sides before a random crop back.
    """

    height: Side = 256
    width: Side = 128
    resize_height: Annotated[int, Field(ge=0, le=4096)] = 0
    resize_width: Annotated[int, Field(ge=0, le=4096)] = 0
    flip: Annotated[float, Field(ge=0, le=1)] = 0.5
    erasing: Annotated[float, Field(ge=0, le=1)] = 0.0
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.0
    padding: Annotated[int, Field(ge=0, le=4096)] = 0


class LossPart(_Part):
    """What is minimised; see `training.losses`.

    Attributes:
        assignment: `graph` (pseudo-labels by prior and probability), `balanced` (shared out within the bag), or `bag`
            (the bag's label itself: the naive baseline).
        form: Of pairwise and triplet terms: as `released` or as in the `paper`.
        unary: Weight of the cross-entropy, mean over heads.
        pairwise: Weight of the pairwise term, mean over heads; 2 is a literal of the released code.
        triplet: Weight of the triplet term, mean over embeddings.
        margin: Of the triplet.
        positive: Of the triplet: which image of the bag counts as the same person, `median` as the authors have it, or
            `share` (see `training.losses.triplet`).
        sigma: Of the affinity.
    """

    assignment: Literal["graph", "balanced", "bag"] = "graph"
    form: Literal["released", "paper"] = "released"
    unary: Rate = 1.0
    pairwise: Rate = 0.0
    triplet: Rate = 0.0
    margin: Rate = 1.2
    positive: Literal["median", "share"] = "median"
    sigma: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class OptimizerPart(_Part):
    """How it is minimised.

    Attributes:
        name: Of torch.optim.
        lr: Learning rate of the heads, and of all where `trunk_lr` is not set.
        trunk_lr: Learning rate of the rest.
        weight_decay: Weight decay.
        momentum: Of SGD and RMSprop.
        dampening: Of SGD.
        nesterov: Of SGD.
        beta1: Of Adam and NAdam.
        beta2: Of Adam and NAdam.
        epsilon: Of all but SGD.
        amsgrad: Of Adam.
        milestones: Epochs, from 1, before which the rate is multiplied by `gamma`.
        step: The same every so many epochs; 0 for never.
        gamma: Factor.
    """

    name: Literal["sgd", "adam", "nadam", "rmsprop"] = "adam"
    lr: Rate = 2e-4
    trunk_lr: Rate | None = None
    weight_decay: Rate = 5e-4
    momentum: Rate = 0.9
    dampening: Rate = 0.0
    nesterov: bool = False
    beta1: Rate = 0.9
    beta2: Rate = 0.999
    epsilon: Rate = 1e-8
    amsgrad: bool = False
    milestones: list[Positive] = []
    step: Annotated[int, Field(ge=0)] = 0
    gamma: Rate = 0.1


class RunPart(_Part):
    """The run as a whole.

    Attributes:
        epochs: Passes.
        accumulate: Batches in one step of the optimiser.
        precision: Of the network's arithmetic.
        seed: Of weights, bags, drawing and augmentation.
        validate_every: Epochs between two evaluations; 0 for none but the last.
        validation_identities: Identities held back from training for it, where labels are strong; 0 for none.
        save_every: Epochs between two kept checkpoints; 0 keeps last and best alone.
    """

    epochs: Positive = 8
    accumulate: Positive = 1
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    validate_every: Annotated[int, Field(ge=0)] = 0
    validation_identities: Annotated[int, Field(ge=0)] = 0
    save_every: Annotated[int, Field(ge=0)] = 0


class Recipe(_Part):
    """A training run.

    Attributes:
        name: Short name.
        title: For people.
        bags: Where bags come from.
        network: What is trained.
        input: Size and augmentation.
        loss: What is minimised.
        optimizer: How.
        run: The run as a whole.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]
    title: str
    bags: BagsPart = BagsPart()
    network: NetworkPart = NetworkPart()
    input: InputPart = InputPart()
    loss: LossPart = LossPart()
    optimizer: OptimizerPart = OptimizerPart()
    run: RunPart = RunPart()


def recipe_names() -> list[str]:
    """Returns the names of the recipes that come with the package."""
    folder = resources.files("sysu30k_bench.training").joinpath("recipes")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_recipe(name: str, changes: dict[str, str] | None = None) -> Recipe:
    """Reads a recipe by name or from a file, with some of its settings changed.

    Args:
        name: A name, or the path of a `.toml`.
        changes: Values by dotted name, such as `run.epochs`; read as TOML would, or else as text.

    Raises:
        UsageError: There is no such recipe, or something in it is wrong.
    """
    try:
        if name.endswith(".toml"):
            text = _read(Path(name))
        elif name in recipe_names():
            text = resources.files("sysu30k_bench.training").joinpath(f"recipes/{name}.toml").read_text("utf-8")
        else:
            raise UsageError(f"there is no recipe {name!r}", hint=f"{', '.join(recipe_names())}, or a .toml file")
        values = parse_toml(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the recipe {name}: {error}") from error
    for key, value in (changes or {}).items():
        _set(values, key, value)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        faults = [_fault(".".join(map(str, fault["loc"])), fault["type"], fault["msg"]) for fault in error.errors()]
        raise UsageError(f"the recipe {name} cannot be used", details=faults) from error


def _read(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")
    with path.open("rb") as file:
        return file.read(4 * MAX_BYTES + 1).decode("utf-8")


def _fault(where: str, kind: str, said: str) -> str:
    if kind != "extra_forbidden":
        return f"{where}: {said}"
    known = [f"{part}.{key}" for part, field in Recipe.model_fields.items() for key in _settings(field.annotation)]
    close = get_close_matches(where, known, n=2)
    return f"{where}: there is no such setting" + (f"; did you mean {' or '.join(close)}?" if close else "")


def _settings(part: Any) -> list[str]:  # noqa: ANN401  pydantic's annotations
    return list(part.model_fields) if isinstance(part, type) and issubclass(part, BaseModel) else []


def _set(values: dict[str, Any], key: str, value: str) -> None:
    *above, last = key.split(".")
    for part in above:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise UsageError(f"{key} is no setting of a recipe")
    try:
        values[last] = parse_value(value)
    except ValueError:
        values[last] = value
