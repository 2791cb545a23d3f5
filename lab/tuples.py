"""A NamedTuple that is made faster, for files with many that nearly every command imports.

Python's own compiles each annotation to see whether it can be a type, which takes longer than all the rest. Here they
stay as they are written: to check them is the type checker's part.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:

    class _Made(type):
        def __new__(mcs, name: str, _bases: tuple[type, ...], body: dict[str, Any]) -> type:
            """Returns a class of named tuples. Its body has its fields' annotations, defaults, and methods."""
            fields = body.get("__annotations__", {})
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body["__module__"])
            for key, value in body.items():
                setattr(made, key, value)
            return made

    NamedTuple = type.__new__(_Made, "NamedTuple", (), {})
