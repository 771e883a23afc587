"""A self-supervised training as data: TOML, checked before anything starts."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sysu30k_bench.training.recipe import Positive, Rate, Side
from sysu30k_bench.training.recipe_file import RecipeFolder, RecipePart

MethodName = Literal["simclr", "moco_v2", "byol", "triplet", "simsiam", "barlow_twins", "vicreg", "dino"]
METHODS: tuple[MethodName, ...] = (
    "simclr",
    "moco_v2",
    "byol",
    "triplet",
    "simsiam",
    "barlow_twins",
    "vicreg",
    "dino",
)
Share = Annotated[float, Field(ge=0, le=1)]
Scale = Annotated[float, Field(gt=0, le=1)]
Sides = tuple[Annotated[int, Field(ge=0, le=4096)], Annotated[int, Field(ge=0, le=4096)]]


class TrunkPart(RecipePart):
    """What is trained, and evaluated afterwards.

    Attributes:
        name: A ResNet of torchvision, or `tiny`.
        weights: Any checkpoint that the adapters read, `imagenet` to download torchvision's, or nothing for random.
    """

    name: Literal["resnet18", "resnet34", "resnet50", "resnet101", "tiny"] = "resnet50"
    weights: str = ""


class HeadPart(RecipePart):
    """The heads that training needs and evaluation drops.

    Attributes:
        hidden: Width inside the projection head.
        output: Width of what the loss sees.
        predictor: Width inside the prediction head, where there is one.
        bottleneck: Of DINO's head.
    """

    hidden: Positive = 2048
    output: Positive = 128
    predictor: Positive = 4096
    bottleneck: Positive = 256


class SslLossPart(RecipePart):
    """What is minimised; each method reads its own.

    Attributes:
        temperature: Of SimCLR and MoCo; of DINO's student.
        memory: Negatives in MoCo's memory.
        teacher_temperature: Of DINO's teacher, after the warm-up.
        teacher_warmup: Epochs of its warm-up.
        teacher_warmup_temperature: Where that begins.
        center_momentum: Of DINO's centre.
        redundancy: Weight of Barlow Twins' redundancy term.
        invariance: Weight of VICReg's first term.
        variance: Of its second.
        covariance: Of its third.
        gamma: Weight of the positive distance in the truncated triplet.
        margin: Of the truncated triplet.
        nearest: Negatives that the truncated triplet looks at; the nearest of them is dropped.
    """

    temperature: Annotated[float, Field(gt=0)] = 0.1
    memory: Annotated[int, Field(ge=0)] = 65_536
    teacher_temperature: Annotated[float, Field(gt=0)] = 0.07
    teacher_warmup: Annotated[int, Field(ge=0)] = 30
    teacher_warmup_temperature: Annotated[float, Field(gt=0)] = 0.04
    center_momentum: Share = 0.9
    redundancy: Rate = 5e-3
    invariance: Rate = 25.0
    variance: Rate = 25.0
    covariance: Rate = 1.0
    gamma: Rate = 2.0
    margin: Rate = 100.0
    nearest: Annotated[int, Field(ge=2)] = 10


class EmaPart(RecipePart):
    """The slow copy of the network: momentum from `start` to `end` by a cosine over all steps of the optimiser."""

    start: Share = 0.99
    end: Share = 1.0


class ViewsPart(RecipePart):
    """Two views of each image, and smaller local ones where a method takes them, by lightly's transforms.

    Attributes:
        height: Rows of a view.
        width: Columns.
        min_scale: Smallest share of the image's area that a crop has.
        ratio: Smallest and largest width of a crop in units of its height.
        flip: Probability of mirroring.
        jitter: Probability of colour jitter.
        brightness: Its strength.
        contrast: Likewise.
        saturation: Likewise.
        hue: Likewise.
        gray: Probability of greyscale.
        blur: Probability of blur in the first view and in the second.
        solarize: Probability of solarisation, likewise.
        online_sides: Smallest and largest height to which the trained network's views are resized, drawn anew for each
            batch; 0 for as they are. The width keeps the proportion.
        target_sides: The same for the slow copy's.
        local: Number of local views of each image (DINO); only the trained network sees them.
        local_height: Rows of a local view.
        local_width: Columns.
        local_scale: Smallest and largest share of the image's area that its crop has.
        local_blur: Probability of blur in a local view.
    """

    height: Side = 224
    width: Side = 224
    min_scale: Scale = 0.08
    ratio: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (0.75, 4 / 3)
    flip: Share = 0.5
    jitter: Share = 0.8
    brightness: Rate = 0.4
    contrast: Rate = 0.4
    saturation: Rate = 0.4
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    gray: Share = 0.2
    blur: tuple[Share, Share] = (0.5, 0.5)
    solarize: tuple[Share, Share] = (0.0, 0.0)
    online_sides: Sides = (0, 0)
    target_sides: Sides = (0, 0)
    local: Annotated[int, Field(ge=0, le=64)] = 0
    local_height: Side = 96
    local_width: Side = 96
    local_scale: tuple[Scale, Scale] = (0.05, 0.4)
    local_blur: Share = 0.5


class SslOptimizerPart(RecipePart):
    """How it is minimised; biases and norms have no weight decay, and no LARS.

    Attributes:
        name: `lars` is lightly's.
        lr: Learning rate after the warm-up.
        end_lr: At the end of the cosine.
        momentum: Of LARS and SGD.
        weight_decay: Weight decay.
        warmup_epochs: Epochs of the linear warm-up; fractions are fine.
        warmup_ratio: Where it begins, in units of `lr`.
    """

    name: Literal["lars", "sgd", "adamw"] = "lars"
    lr: Rate = 4.8
    end_lr: Rate = 0.0
    momentum: Rate = 0.9
    weight_decay: Rate = 1e-6
    warmup_epochs: Rate = 0.0
    warmup_ratio: Rate = 1e-4


class SslRunPart(RecipePart):
    """The run as a whole.

    Attributes:
        epochs: Passes.
        batch: Images in one forward pass of one process.
        images_per_step: Images in one step of the optimiser, whatever the number of processes: gradients of as many
            batches are accumulated as it takes; 0 for one batch of each process.
        precision: Of the network's arithmetic.
        seed: Of weights, order and views.
        save_every: Epochs between two kept checkpoints; 0 keeps the last alone.
        monitor_every: Steps of the optimiser between two looks at the features (`training.ssl.monitor`); 0 for none.
    """

    epochs: Positive = 10
    batch: Annotated[int, Field(ge=2, le=1_000_000)] = 196
    images_per_step: Annotated[int, Field(ge=0)] = 0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    save_every: Annotated[int, Field(ge=0)] = 0
    monitor_every: Annotated[int, Field(ge=0)] = 50


class SslRecipe(RecipePart):
    """A self-supervised training.

    Attributes:
        name: Short name.
        title: For people.
        method: Which method.
        network: What is trained.
        head: The heads.
        loss: What is minimised.
        ema: The slow copy.
        views: Two views of each image.
        optimizer: How.
        run: The run as a whole.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]
    title: str
    method: MethodName
    network: TrunkPart = TrunkPart()
    head: HeadPart = HeadPart()
    loss: SslLossPart = SslLossPart()
    ema: EmaPart = EmaPart()
    views: ViewsPart = ViewsPart()
    optimizer: SslOptimizerPart = SslOptimizerPart()
    run: SslRunPart = SslRunPart()

    @model_validator(mode="after")
    def _local_views_fit(self) -> Self:
        if self.views.local and self.method != "dino":
            raise ValueError(f"views.local = {self.views.local}: {self.method} has no local views, only dino has")
        if self.views.local_scale[0] > self.views.local_scale[1]:
            raise ValueError("views.local_scale: the smallest share is larger than the largest")
        return self


_FOLDER = RecipeFolder("sysu30k_bench.training.ssl")


def ssl_recipe_names() -> list[str]:
    """Returns the names of the self-supervised recipes that come with the package."""
    return _FOLDER.names()


def is_ssl_recipe(name: str) -> bool:
    """Returns whether a recipe, by name or path, is of a self-supervised method.

    Raises:
        UsageError: It is a file, and no TOML.
    """
    return name in ssl_recipe_names() or (name.endswith(".toml") and "method" in _FOLDER.read(name))


def load_ssl_recipe(name: str, changes: dict[str, str] | None = None) -> SslRecipe:
    """Reads a recipe by name or from a file, with some of its settings changed.

    Args:
        name: A name, or the path of a `.toml`.
        changes: Values by dotted name, such as `run.epochs`; read as TOML would, or else as text.

    Raises:
        UsageError: There is no such recipe, or something in it is wrong.
    """
    return _FOLDER.load(name, changes or {}, SslRecipe)
