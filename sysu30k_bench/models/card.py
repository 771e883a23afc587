"""The adapter card: everything that makes an embedding of an image, as data."""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from sysu30k_bench.files import sha256_of_text

FeatureKind = Literal["pool5", "bottleneck", "logits"]
Flip = Literal["none", "after_sum", "sequential", "concat"]
Supervision = Literal[
    "weakly supervised", "self supervised", "generalization", "supervised", "unsupervised", "none", "unknown"
]


_MAX_PATTERN = 500
_NOT_AN_OPTION = {
    "pretrained",
    "weights",
    "weights_backbone",
    "checkpoint_path",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
}


def _compiles(pattern: str) -> str:
    if len(pattern) > _MAX_PATTERN:
        raise ValueError(f"a pattern has at most {_MAX_PATTERN} characters")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Paper(_Strict):
    """Where the method was published."""

    title: str
    url: str = ""
    year: int | None = None

    @field_validator("url")
    @classmethod
    def _is_link(cls, url: str) -> str:
        if url and not url.startswith(("https://", "http://")):
            raise ValueError("a paper's url starts with https://")
        return url


class Backbone(_Strict):
    """A network that a method was also published with.

    Attributes:
        source: Where the network comes from.
        options: For its constructor.
        input: Keys of the card's `[input]` that differ for this network, such as the height and width.
    """

    source: str = Field(pattern=r"^(torchvision|timm|python):\S+$")
    options: dict[str, JsonValue] = {}
    input: dict[str, JsonValue] = {}


class Network(_Strict):
    """The trunk: `torchvision:NAME`, `timm:NAME` or `python:package.module:build`, its last linear layer removed.

    `onnx:checkpoint`, `openvino:checkpoint`, `torchscript:checkpoint`, `torchexport:checkpoint` and `hf:checkpoint` (a
    folder of the transformers library) stand for a model with its own network.
    `features:external` stands for a network that nobody has published: such a card takes features files alone.

    Attributes:
        source: Where the network comes from.
        options: For its constructor.
        alternatives: Networks that the method's checkpoints may hold instead; the first that the file fills is taken.
    """

    source: str = Field(pattern=r"^(torchvision|timm|python|features|onnx|openvino|torchscript|torchexport|hf):\S+$")
    options: dict[str, JsonValue] = {}
    alternatives: list[Backbone] = []

    @field_validator("options")
    @classmethod
    def _loads_nothing(cls, options: dict[str, object]) -> dict[str, object]:
        refused = sorted(_NOT_AN_OPTION & set(options))
        if refused:
            raise ValueError(f"{', '.join(refused)}: weights come from the checkpoint alone")
        return options


class Layout(_Strict):
    """The tensor names of a file, and how they map to the network's.

    A file's tensors are named by their dotted path through all its mappings, without the components that wrappers of
    training add (`module`, `_orig_mod`, ...). The prefix below which a layout fits is found, so that patterns and
    names here are relative to it.

    Attributes:
        name: A short name, shown when the layout fits.
        title: Which program writes it.
        wrapper: The prefix, where it is known.
        take: Only keys with this prefix are used, and the prefix goes.
        rename: Pairs of regular expression and replacement; for each key the first that matches is applied.
        requires: Regular expressions, each of which some key must match in full; the first one finds the prefix.
        forbids: Regular expressions that no key may match in full.
        ignores: Regular expressions for tensors that training needed and the feature does not use.
        heads: Whether plain linear classifiers may remain beside the network, wherever they are in the file.
        fallback: Whether this layout gives way to any other card's that fits.
        file: Regular expression that the file's own name must match in full, for programs that name by rule what their
            tensors do not tell.
    """

    name: str
    title: str = ""
    wrapper: str = ""
    take: str = ""
    rename: list[tuple[Pattern, str]] = []
    requires: list[Pattern] = []
    forbids: list[Pattern] = []
    ignores: list[Pattern] = []
    heads: bool = True
    fallback: bool = False
    file: Pattern = ""

    @field_validator("rename")
    @classmethod
    def _replacements_fit(cls, rename: list[tuple[str, str]]) -> list[tuple[str, str]]:
        for pattern, replacement in rename:
            try:
                re.sub(f"(?:{pattern})|", replacement, "")
            except (re.error, IndexError) as error:
                raise ValueError(f"the replacement {replacement!r} does not fit {pattern!r}: {error}") from error
        return rename


class Beside(_Strict):
    """A small YAML file that a project writes beside its checkpoints, and the settings in it.

    Attributes:
        file: Its name.
        read: Keys of that file, each with what it sets: `network.OPTION` or `input.KEY`.
    """

    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\.ya?ml$")
    read: dict[str, Annotated[str, Field(pattern=r"^(network|input)\.[a-z_]+$")]]


class Checkpoint(_Strict):
    """Which layouts a card reads, by the names of `models/layouts.toml` or defined in the card itself.

    Attributes:
        layouts: Names of layouts that the card reads.
        layout: Layouts of the card's own.
        recognised_by: Those layouts, of both kinds, by which the card is found when none is named; the card's own
            layouts where absent.
        beside: Files beside the checkpoint with settings that its tensors do not determine.
        caution: What a user should consider when the card was found and not named.
        cautions: What a user should consider about files of a layout, by the layout's name.
    """

    layouts: list[str] = []
    layout: list[Layout] = []
    recognised_by: list[str] | None = None
    beside: list[Beside] = []
    caution: str = ""
    cautions: dict[str, str] = {}

    @property
    def marks(self) -> frozenset[str]:
        """Names of the layouts by which the card is found."""
        own = [layout.name for layout in self.layout]
        return frozenset(own if self.recognised_by is None else self.recognised_by)


class Input(_Strict):
    """What the network sees: the image resized to height x width, scaled, then normalised.

    Attributes:
        height: Rows.
        width: Columns.
        interpolation: Of the resizing.
        channels: Their order.
        scale: `unit` divides pixels by 255 before the normalisation, `byte` leaves them at 0 to 255.
        mean: Subtracted from each channel, in the network's order.
        std: Divided by.
    """

    height: int = Field(256, ge=16, le=4096)
    width: int = Field(128, ge=16, le=4096)
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bicubic"
    channels: Literal["rgb", "bgr"] = "rgb"
    scale: Literal["unit", "byte"] = "unit"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


class Feature(_Strict):
    """Which layer is the embedding, and how the two views are put together.

    Attributes:
        kind: `pool5` (the trunk's output), `bottleneck` (linear and batch norm after it) or `logits`.
        flip: `none`; `after_sum`, the DGL script's f(x) + f(mirror), then L2; `sequential`, the self-supervised
            script's f(x) / |f(x)| + f(mirror), then L2; `concat`, f(x) and f(mirror) joined, then L2.
        full_logits: Store logits as they are, not in the shorter form of the same geometry.
        parts: How many equal parts the feature has that are normalised each on its own, once the views are summed.
        part_order: `parts` stores part after part; `channels` stores the first number of each part, then the second
            ones, as some projects do. Distances are the same.
        camera: For networks that are given the camera of each image: the one, counted from 1, that all images get; the
            data set's own labels where None.
    """

    kind: FeatureKind = "pool5"
    flip: Flip = "after_sum"
    full_logits: bool = False
    parts: int = Field(1, ge=1, le=1024)
    part_order: Literal["parts", "channels"] = "parts"
    camera: int | None = Field(None, ge=1, le=10_000)

    @model_validator(mode="after")
    def _sequential_needs_pooled(self) -> Feature:
        if self.kind == "logits" and self.flip not in {"none", "after_sum"}:
            raise ValueError("logits are stored through the sum of the views; flip must be after_sum or none")
        if self.full_logits and self.kind != "logits":
            raise ValueError("full_logits goes with kind = 'logits'")
        return self


class AdapterCard(_Strict):
    """A method: where it was published, its network, its checkpoints, its input and its embedding.

    Attributes:
        name: Unique among all cards.
        title: For tables and rows.
        family: The project or kind of method, under which `adapters list` shows the card.
        held_to: What the card was compared with, and on which files.
        supervision: How the method's networks are trained.
        licence: Of the project's code or weights.
        notes: What a user should know about the feature and about what a file cannot tell.
        paper: Where the method was published.
        network: The network.
        checkpoint: How its files are read.
        input: What the network sees.
        feature: Which layer is the embedding.
    """

    card_version: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")
    title: str = Field(max_length=200)
    family: str = Field("", max_length=60)
    held_to: str = Field("", max_length=1000)
    supervision: Supervision = "unknown"
    licence: str = ""
    notes: str = ""
    paper: Paper | None = None
    network: Network
    checkpoint: Checkpoint = Checkpoint()
    input: Input = Input()
    feature: Feature = Feature()

    @model_validator(mode="after")
    def _inputs_of_alternatives_are_inputs(self) -> AdapterCard:
        for item in self.network.alternatives:
            Input.model_validate({**self.input.model_dump(), **item.input})
        return self

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that can change an embedding, in hex; title, paper, licence and notes do not count."""
        words = {"checkpoint": {"caution", "cautions", "recognised_by", "beside"}}
        decisive = self.model_dump(mode="json", include={"network", "checkpoint", "input", "feature"}, exclude=words)
        return sha256_of_text(json.dumps(decisive, sort_keys=True))
