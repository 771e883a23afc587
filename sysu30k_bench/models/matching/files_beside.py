"""What a small file beside a checkpoint tells about its network, such as the `opts.yaml` of layumi's baseline."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.models.card import AdapterCard, Beside, Input, Network

_MAX_BYTES = 1 << 16
_MOST = 4096


def with_files_beside(card: AdapterCard, checkpoint: Path) -> tuple[AdapterCard, list[str]]:
    """Applies to a card what the files beside a checkpoint tell.

    Args:
        card: The card, which says what to read from which file.
        checkpoint: The checkpoint's path.

    Returns:
        The changed card, and for the user what was read where.

    Raises:
        IntegrityError: Such a file is not YAML, or a value in it has no sense.
    """
    said: list[str] = []
    for beside in card.checkpoint.beside:
        path = checkpoint.parent / beside.file
        if not path.is_file():
            said.append(f"no {beside.file} beside the checkpoint: {', '.join(beside.read)} assumed from the card")
            continue
        found = _values(path, beside)
        silent = [key for key in beside.read if key not in found]
        try:
            network, size = dict(card.network.options), card.input.model_dump()
            for key, value in found.items():
                place, _, name = beside.read[key].partition(".")
                (network if place == "network" else size)[name] = value
            update = {
                "network": Network(source=card.network.source, options=network),
                "input": Input.model_validate(size),
            }
        except ValidationError as error:
            raise IntegrityError(f"{path} has an invalid value: {error.errors()[0]['msg']}") from error
        card = card.model_copy(update=update)
        if found:
            said.append(f"{', '.join(f'{key} {value}' for key, value in found.items())} as {beside.file} says")
        if silent:
            said.append(f"{beside.file} has no number for {', '.join(silent)}: assumed from the card")
    return card, said


def _values(path: Path, beside: Beside) -> dict[str, int | float]:
    if path.stat().st_size > _MAX_BYTES:
        raise IntegrityError(f"{path} is too large for the configuration of a checkpoint")
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise IntegrityError(f"{path} is not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        return {}
    found = {key: content[key] for key in beside.read if type(content.get(key)) in {int, float}}
    for key, value in found.items():
        if type(value) is not int or not 0 < value <= _MOST:
            raise IntegrityError(
                f"{path} says {key}: {value}, where a whole number from 1 to {_MOST:,} is expected",
                hint=f"correct it to what the network was trained with, or remove {path.name}: the card's own value is "
                "assumed then",
            )
    return found
