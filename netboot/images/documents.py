"""Reading the JSON documents of the data directory: strictly, and what is wrong with one is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from netboot.errors import InvalidInput

# Field, its types in JSON.
Fields = Mapping[str, tuple[type, ...]]


def parse_object(text: str) -> dict[str, Any]:
    """Raises `InvalidInput` for what is no JSON object, also where Python's reader would let it pass."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"it is not JSON: {error.msg} in line {error.lineno}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets without end
        raise InvalidInput(f"it is not JSON that can be read: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput("it is not a JSON object")
    return value


def _refuse_constant(name: str) -> float:
    raise InvalidInput(f"{name} is no number of JSON")


def check_fields(value: Mapping[str, Any], fields: Fields) -> None:
    """Raises `InvalidInput` unless `value` has exactly these fields."""
    if missing := sorted(fields.keys() - value.keys()):
        raise InvalidInput(f"it lacks {', '.join(missing)}")
    if unknown := sorted(value.keys() - fields.keys()):
        raise InvalidInput(f"it has the unknown field {', '.join(unknown)}")
    for name, kinds in fields.items():
        # By type and not isinstance: bool is a kind of int in Python, but not in JSON.
        if type(value[name]) not in kinds:
            raise InvalidInput(f"{name} cannot be {value[name]!r}")
