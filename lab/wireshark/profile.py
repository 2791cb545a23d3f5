"""The lab's profile for Wireshark and the script that makes fields of our comments: files of this package.

The folder `profile/` is the profile as it is, in English; in Chinese the column of notes shows the Chinese ones.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from lab.text import Lang

NAME = "Handshake lab"
FOLDER = Path(__file__).parent
SCRIPT = FOLDER / "handshake-lab.lua"
_PROFILE = FOLDER / "profile"
_NOTES = {"en": '"Note", "%Cus:frame.comment:1:R"', "zh": '"讲解", "%Cus:frame.comment:2:R"'}  # the Chinese are second
_OLDEST = (1980, 1, 1, 0, 0, 0)  # that a zip can tell: the same files make the same archive


def files(lang: Lang) -> dict[str, bytes]:
    """Returns the profile's files by their names."""
    found = {path.name: path.read_text("utf-8") for path in sorted(_PROFILE.iterdir()) if path.is_file()}
    return {name: text.replace(_NOTES["en"], _NOTES[lang]).encode() for name, text in found.items()}


def archive(lang: Lang) -> bytes:
    """Returns the profile as a zip, for Wireshark's own window to import: the same bytes at any time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in files(lang).items():
            entry = zipfile.ZipInfo(f"{NAME}/{name}", _OLDEST)
            entry.external_attr = 0o100644 << 16
            made.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def lay_out(place: Path, lang: Lang) -> None:
    """Makes of an empty folder one for Wireshark's settings, with the profile in it. Raises OSError."""
    folder = place / "profiles" / NAME
    folder.mkdir(parents=True)
    for name, content in files(lang).items():
        (folder / name).write_bytes(content)
