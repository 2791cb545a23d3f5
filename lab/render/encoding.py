"""A value as JSON in one line: by orjson, and where that is not there by the standard library, the same to the byte."""

from __future__ import annotations

import json

try:
    import orjson
except ImportError:  # in a browser: nobody builds it for Pyodide where packages come from

    def encoded(value: object) -> str:
        """Returns a value as JSON, in characters as they are but for what can't be written as UTF-8."""
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        return text if text.isascii() or _is_text(text) else escaped(value)

else:

    def encoded(value: object) -> str:
        """Returns a value as JSON, in characters as they are but for what can't be written as UTF-8."""
        try:
            return orjson.dumps(value).decode()
        except TypeError:  # what JSON can say and orjson can't: half a surrogate pair
            return escaped(value)


def escaped(value: object) -> str:
    """Returns a value as JSON of ASCII alone."""
    return json.dumps(value, separators=(",", ":"))


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
