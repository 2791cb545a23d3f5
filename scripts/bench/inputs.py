"""The captures that are measured on, made when they are asked for, each by a process of its own: ours stays small."""

from __future__ import annotations

import struct
import subprocess
import sys
from functools import cached_property
from pathlib import Path

from scripts.bench.measure import ROOT, USUAL


class Inputs:
    """Captures of about `packets` packets in `folder`. Those that are there from another time are taken again."""

    def __init__(self, folder: Path, packets: int) -> None:
        self.folder = folder
        self.packets = packets

    @cached_property
    def real(self) -> Path:
        """Real kernels over a lossy cable, as pcapng in nanoseconds; `real.pcap` beside it in microseconds."""
        path = self.folder / "real.pcapng"
        return self._made(path, "-m", "scripts.traffic", "real", self.packets, path, path.with_suffix(".pcap"))

    @cached_property
    def web(self) -> Path:
        """TLS of real OpenSSL as on the web; its key log is called `web.keys`."""
        path = self.folder / "web.pcap"
        return self._made(path, "-m", "scripts.traffic", "web", self.packets, path)

    @cached_property
    def long(self) -> Path:
        """As `real`, four times as long."""
        path = self.folder / "long.pcap"
        return self._made(path, "-m", "scripts.traffic", "real", self.packets * 4, path)

    @cached_property
    def friendly(self) -> Path:
        """The same eleven packets over and over, of many small connections."""
        path = self.folder / "friendly.pcap"
        return self._made(path, "scripts/generate.py", self.packets * 3, path)

    @cached_property
    def friendly_tls(self) -> Path:
        """Twenty real handshakes over and over, 23 packets each."""
        path = self.folder / "friendly-tls.pcap"
        return self._made(path, "scripts/generate.py", "--tls", self.packets // 23, path)

    def head(self, packets: int) -> Path:
        """Returns the first packets of `long`."""
        return self._head(self.long, f"head-{packets}.pcap", packets)

    def web_head(self, packets: int) -> Path:
        """Returns the first packets of `web`."""
        return self._head(self.web, f"web-head-{packets}.pcap", packets)

    def _head(self, whole: Path, name: str, packets: int) -> Path:
        path = self.folder / name
        if not path.exists():
            with whole.open("rb") as source, path.open("wb") as target:
                target.write(source.read(24))
                for _ in range(packets):
                    header = source.read(16)
                    if not header:
                        break
                    target.write(header + source.read(struct.unpack("<8xI4x", header)[0]))
        return path

    def _made(self, path: Path, *command: object) -> Path:
        if not path.exists():
            words = [str(each) for each in command]
            print(f"making {path.name} …", file=sys.stderr, flush=True)
            done = False
            try:
                done = subprocess.run([sys.executable, *words], cwd=ROOT, env=USUAL, check=False).returncode == 0
            finally:
                if not done:  # also where it is stopped: half a file would be taken for a whole one
                    path.unlink(missing_ok=True)
            if not done:
                sys.exit(f"{path.name} could not be made")
        return path
