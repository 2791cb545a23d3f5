"""What axe-core finds in a page: the rules of WCAG 2.2, levels A and AA, as far as a program can check them."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tarfile
from pathlib import Path

from tests.page.browser import Page

VERSION = "4.14.1"
# As the registry has it; what npm brings must be just that.
_SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_GRAVE = ("serious", "critical")


def script(folder: Path) -> str:
    """Returns axe-core's source, which npm brings into the folder where it is not there yet.

    Raises OSError where npm is missing or brings nothing.
    """
    packed = folder / f"axe-core-{VERSION}.tgz"
    if not packed.exists():
        command = ["npm", "pack", f"axe-core@{VERSION}", "--silent", "--ignore-scripts", f"--pack-destination={folder}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
        if done.returncode:
            raise OSError(f"npm brings no axe-core: {done.stderr.strip()[-300:]}")
    digest = base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode()
    assert digest == _SHA512, f"{packed} is not axe-core {VERSION}: remove it"
    with tarfile.open(packed) as files:
        found = files.extractfile("package/axe.min.js")
        assert found is not None
        return found.read().decode()


def faults(page: Page, axe: str) -> list[str]:
    """Returns the serious and critical faults of the page as it stands now, each with the first element that has it."""
    page.evaluate(f"{axe}\n;undefined")
    found = page.evaluate(f"axe.run(document, {{ runOnly: {_TAGS}, resultTypes: ['violations'] }})")
    return [
        f"{each['impact']} {each['id']}, {len(each['nodes'])} times: {each['help']}: {each['nodes'][0]['html'][:200]}"
        for each in found["violations"]
        if each["impact"] in _GRAVE
    ]
