"""Makes the README's picture of Wireshark with the lab's profile: a real window, on a screen that nobody sees.

    python scripts/picture.py [CAPTURE [PICTURE]]

Needs wireshark, xvfb, xdotool and imagemagick. What is on the picture is what `lab wireshark CAPTURE` opens.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
WIDTH, HEIGHT = 1440, 840
PACKET = 3  # that is selected
PATIENCE = 120.0  # seconds


@contextlib.contextmanager
def screen() -> Iterator[str]:
    """Yields the name of a display of its own."""
    reading, writing = os.pipe()
    with subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{WIDTH}x{HEIGHT}x24"],
        pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        os.close(writing)
        try:
            with os.fdopen(reading) as told:
                yield f":{told.readline().strip()}"
        finally:
            server.terminate()


def main(capture: Path, picture: Path) -> None:
    with screen() as display, tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "DISPLAY": display, "HOME": home, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)}

        def tool(*words: str) -> bytes:
            return subprocess.run(words, env=environ, check=True, capture_output=True, timeout=PATIENCE).stdout

        def still() -> bytes:
            """Returns the screen once it does not change any more."""
            before, until = b"", time.monotonic() + PATIENCE
            while (now := tool("import", "-window", "root", "rgb:-")) != before and time.monotonic() < until:
                before = now
                time.sleep(1)
            return now

        with subprocess.Popen([sys.executable, "-m", "lab", "wireshark", str(capture)], env=environ) as lab:
            try:
                window = (
                    tool("xdotool", "search", "--sync", "--onlyvisible", "--name", capture.stem).split()[-1].decode()
                )
                tool("xdotool", "windowmove", window, "0", "0", "windowsize", window, str(WIDTH), str(HEIGHT))
                still()
                row = 128 + 17 * (PACKET - 1)
                tool("xdotool", "mousemove", "700", str(row), "click", "1")
                tool("xdotool", "mousemove", "200", str(HEIGHT - 100), "click", "1")
                for key in ("Home", "Left", "End", "Right"):  # our fields are opened, the comments closed
                    still()
                    tool("xdotool", "key", key)
                tool("xdotool", "mousemove", str(WIDTH - 1), str(HEIGHT - 1))
                still()
                picture.parent.mkdir(parents=True, exist_ok=True)
                tool("import", "-window", "root", "+dither", "-colors", "96", "-strip", f"png8:{picture}")
            finally:
                with contextlib.suppress(subprocess.SubprocessError):
                    tool("xdotool", "search", "--name", capture.stem, "key", "--window", "%@", "ctrl+q")
                lab.terminate()


if __name__ == "__main__":
    names = [Path(each) for each in sys.argv[1:]]
    main(
        names[0] if names else ROOT / "captures/tls-1.2-rsa.pcapng",
        names[1] if len(names) > 1 else ROOT / "docs/pictures/wireshark.png",
    )
