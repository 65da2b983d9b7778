"""Configs by name: the published forms of one architecture."""

import difflib
from collections.abc import Mapping
from typing import Any, ClassVar, Self


class WithPresets:
    """A config whose class lists, for each published form by its name, the fields that differ from the defaults."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @classmethod
    def from_preset(cls, name: str, **fields: Any) -> Self:
        """The config of a published form; `fields` are set beside and before its own."""
        if name not in cls.PRESETS:
            similar = difflib.get_close_matches(name, cls.PRESETS, n=1)
            hint = f"; did you mean {similar[0]!r}?" if similar else ";"
            raise ValueError(f"{cls.__name__} has no preset {name!r}{hint} it has {', '.join(map(repr, cls.PRESETS))}")
        return cls(**{**cls.PRESETS[name], **fields})
