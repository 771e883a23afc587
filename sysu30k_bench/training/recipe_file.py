"""Recipes as files: found by name or path, changed setting by setting, and checked as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sysu30k_bench.errors import UsageError
from sysu30k_bench.plain_toml import MAX_BYTES, parse_toml, parse_value


class RecipePart(BaseModel):
    """A table of a recipe; unknown settings are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=RecipePart)


@dataclass(frozen=True)
class RecipeFolder:
    """The recipes that come with a package.

    Attributes:
        package: The package; its `recipes/` holds them.
    """

    package: str

    def names(self) -> list[str]:
        """Returns the names of its recipes."""
        folder = resources.files(self.package).joinpath("recipes")
        return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))

    def load(self, name: str, changes: dict[str, str], model: type[Model]) -> Model:
        """Reads a recipe by name or from a file, with some of its settings changed.

        Args:
            name: A name, or the path of a `.toml`.
            changes: Values by dotted name, such as `run.epochs`; read as TOML would, or else as text.
            model: What it has to be.

        Raises:
            UsageError: There is no such recipe, or something in it is wrong.
        """
        values = self.read(name)
        for key, value in changes.items():
            _set(values, key, value)
        try:
            return model.model_validate(values)
        except ValidationError as error:
            faults = [
                _fault(model, ".".join(map(str, fault["loc"])), fault["type"], fault["msg"]) for fault in error.errors()
            ]
            raise UsageError(f"the recipe {name} cannot be used", details=faults) from error

    def read(self, name: str) -> dict[str, Any]:
        """Reads a recipe's values, unchecked.

        Raises:
            UsageError: There is no such recipe, or it is no TOML.
        """
        try:
            if name.endswith(".toml"):
                text = _read(Path(name))
            elif name in self.names():
                text = resources.files(self.package).joinpath(f"recipes/{name}.toml").read_text("utf-8")
            else:
                raise UsageError(f"there is no recipe {name!r}", hint=f"{', '.join(self.names())}, or a .toml file")
            return parse_toml(text)
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read the recipe {name}: {error}") from error


def _read(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")
    with path.open("rb") as file:
        return file.read(4 * MAX_BYTES + 1).decode("utf-8")


def _fault(model: type[RecipePart], where: str, kind: str, said: str) -> str:
    if kind != "extra_forbidden":
        said = said.removeprefix("Value error, ")
        return f"{where}: {said}" if where else said  # of the recipe as a whole
    known = [f"{part}.{key}" for part, field in model.model_fields.items() for key in _settings(field.annotation)]
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
