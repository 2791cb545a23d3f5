"""Packages that npm brings, each checked by its hash: once, into a folder that is kept."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from pathlib import Path


def packed(name: str, version: str, sha512: str, folder: Path) -> Path:
    """Returns the archive of a package, which npm brings into the folder where it is not there yet.

    `sha512` is as the registry has it, base64: what npm brings must be just that. Raises OSError where npm is missing
    or brings nothing.
    """
    file = folder / f"{name}-{version}.tgz"
    if not file.exists():
        command = ["npm", "pack", f"{name}@{version}", "--silent", "--ignore-scripts", f"--pack-destination={folder}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
        if done.returncode:
            raise OSError(f"npm brings no {name}: {done.stderr.strip()[-300:]}")
    digest = base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode()
    assert digest == sha512, f"{file} is not {name} {version}: remove it"
    return file
