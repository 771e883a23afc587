"""A training run as data: TOML, checked before anything starts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sysu30k_bench.training.recipe_file import RecipeFolder, RecipePart

Positive = Annotated[int, Field(ge=1, le=1_000_000)]
Side = Annotated[int, Field(ge=1, le=4096)]
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class BagsPart(RecipePart):
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


class NetworkPart(RecipePart):
    """What is trained.

    Attributes:
        name: `resnet50`, `mgn` or `tiny`.
        weights: A file of torchvision's ResNet-50, `imagenet` to download it, or nothing for random weights.
        norm: Of `tiny`: `batch` or `group`.
    """

    name: Literal["resnet50", "mgn", "tiny"] = "resnet50"
    weights: str = ""
    norm: Literal["batch", "group"] = "batch"


class InputPart(RecipePart):
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


class LossPart(RecipePart):
    """What is minimised; see `training.losses`.

    Attributes:
        assignment: `graph` (pseudo-labels by prior and probability), `balanced` (shared out within the bag), or `bag`
            (the bag's label itself: the naive baseline), or `cmil` (bags as wholes, without pseudo-labels).
        form: Of pairwise and triplet terms: as `released` or as in the `paper`.
        unary: Weight of the cross-entropy, mean over heads; with `cmil` of its cross-entropy and triplet of bags.
            `unary = "cmil"` stands for `assignment = "cmil"` at weight 1.
        pairwise: Weight of the pairwise term, mean over heads; 2 is a literal of the released code.
        triplet: Weight of the triplet term, mean over embeddings.
        margin: Of the triplet.
        positive: Of the triplet: which image of the bag counts as the same person, `median` as the authors have it, or
            `share` (see `training.losses.triplet`).
        sigma: Of the affinity.
    """

    assignment: Literal["graph", "balanced", "bag", "cmil"] = "graph"
    form: Literal["released", "paper"] = "released"
    unary: Rate = 1.0
    pairwise: Rate = 0.0
    triplet: Rate = 0.0
    margin: Rate = 1.2
    positive: Literal["median", "share"] = "median"
    sigma: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _named_unary(cls, values: object) -> object:
        if isinstance(values, dict) and values.get("unary") == "cmil":
            return values | {"assignment": "cmil", "unary": 1.0}
        return values


class OptimizerPart(RecipePart):
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
    milestones: list[Positive] = []  # noqa: RUF012  pydantic copies it
    step: Annotated[int, Field(ge=0)] = 0
    gamma: Rate = 0.1


class RunPart(RecipePart):
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


class Recipe(RecipePart):
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
    return _FOLDER.names()


def load_recipe(name: str, changes: dict[str, str] | None = None) -> Recipe:
    """Reads a recipe by name or from a file, with some of its settings changed.

    Args:
        name: A name, or the path of a `.toml`.
        changes: Values by dotted name, such as `run.epochs`; read as TOML would, or else as text.

    Raises:
        UsageError: There is no such recipe, or something in it is wrong.
    """
    return _FOLDER.load(name, changes or {}, Recipe)


_FOLDER = RecipeFolder("sysu30k_bench.training")
