"""How values of targets are read: JSON in cells, JSON files beside a manifest."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from muybridge.data.errors import DataError
from muybridge.data.targets.base import Place


def parse_json(value: Any) -> Any:
    """A JSON list or object that stands in a cell as text; other values as they are."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"{value[:40]!r} is not JSON: {error.msg} at column {error.colno}") from error


def read_json_file(place: Place, name: str) -> Any:
    """What a JSON file holds, or has under a name."""
    try:
        text = Path(place).read_text(encoding="utf-8") if isinstance(place, str) else place.read().decode()
        value = json.loads(text)
    except OSError as error:
        raise DataError(f"{place} cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{place}, line {error.lineno}: this is not JSON: {error.msg}") from error
    if isinstance(value, Mapping):
        if name not in value:
            raise DataError(f"{place} has no {name!r}; it has {', '.join(value) or 'nothing'}")
        return value[name]
    return value


def check_name(value: Any, what: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{what} is {value!r}; it must be a text that is not empty")
