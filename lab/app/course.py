"""A course's key, as commands are given it."""

from __future__ import annotations

from pathlib import Path

from lab.grade import keys
from lab.system.streams import say
from lab.text import Lang, Text


def course_key(path: Path | None, lang: Lang) -> bytes | None:
    """Returns the key in a file, None where none is named; says so where others can read it. Raises InputError."""
    if path is None:
        return None
    found = keys.read(path)
    if keys.exposed(path):
        words = Text(f"note: others can read {path}: chmod 600 it", f"注意：{path} 可被他人读取：请 chmod 600")
        say(words.pick(lang))
    return found
