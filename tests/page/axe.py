"""What axe-core finds in a page: the rules of WCAG 2.2, levels A and AA, as far as a program can check them."""

from __future__ import annotations

import tarfile
from pathlib import Path

from tests.page.browser import Page
from tests.page.npm import packed

VERSION = "4.14.1"
_SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_GRAVE = ("serious", "critical")


def script(folder: Path) -> str:
    """Returns axe-core's source, which npm brings into the folder where it is not there yet.

    Raises OSError where npm is missing or brings nothing.
    """
    with tarfile.open(packed("axe-core", VERSION, _SHA512, folder)) as files:
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
