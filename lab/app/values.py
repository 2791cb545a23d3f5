"""Values on the command line that are plainly right, taken as they are.

The parser has every value checked by a library that takes longer to import than all the rest of parsing. Here it is
asked only where a value may be wrong: its complaints are the same, they just come later.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

_DOUBTFUL = object()


def plainly(parameters: list[Any]) -> list[Any]:
    """Returns a command's parameters, which from now on take what is plainly right without asking anybody."""
    for each in parameters:
        if hasattr(each, "type_descriptor") and "process_value" not in vars(each):
            each.process_value = partial(_processed, each, each.process_value)
    return parameters


def _processed(parameter: Any, judged: Callable[[Any, Any], Any], context: Any, value: Any) -> Any:
    found = _taken(parameter.type_descriptor.annotation, value)
    if found is _DOUBTFUL or (parameter.required and parameter.value_is_missing(found)):
        return judged(context, value)
    return parameter.callback(context, parameter, found) if parameter.callback is not None else found


def _taken(annotation: Any, value: Any) -> Any:
    """Returns what a parameter's value means: a word or several of the command line, or a default."""
    if annotation == list[str]:
        words = () if value is None else value
        return list(words) if isinstance(words, list | tuple) and all(map(_is_word, words)) else _DOUBTFUL
    if value is None or (annotation is not str and isinstance(annotation, type) and isinstance(value, annotation)):
        return value
    if annotation is str and value == "":  # as it is where an option is left out
        return value
    if not _is_word(value):
        return _DOUBTFUL
    if annotation is str:
        return value
    if annotation is int:
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else _DOUBTFUL
    if annotation is Path:  # the parser refuses one that is there and can't be read
        return Path(value) if os.access(value, os.R_OK) or not os.path.lexists(value) else _DOUBTFUL
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return next((each for each in annotation if each.value == value), _DOUBTFUL)
    return _DOUBTFUL


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable()
