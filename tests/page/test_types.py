"""The types of a page's data: as its schema says, and the scripts keep to them."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import lab
from lab.page.comparison import of_captures
from lab.page.model import MOST, of_run
from lab.runs.recorded import open_run
from scripts.page_types import FILE, types
from tests.page.npm import packed

CAPTURES = Path(lab.__file__).parents[1] / "captures"
VERSION = "5.9.3"
SHA512 = "jl1vZzPDinLr9eUt3J/t7V6FgNEw9QjvBPdysz9KfQDD41fQrC2Y4vKQdiaUpFT4bXlb1RHhLpp8wtm6M5TgSw=="


@pytest.fixture
def tsc(pytestconfig: pytest.Config) -> Path:
    """TypeScript's compiler, which npm brings once into pytest's cache."""
    folder = pytestconfig.cache.mkdir("typescript")
    found = folder / f"typescript-{VERSION}" / "package" / "bin" / "tsc"
    try:
        file = packed("typescript", VERSION, SHA512, folder)
    except OSError as error:
        pytest.skip(f"{error} (Debian: apt-get install nodejs npm)")
    if not found.exists():
        with tarfile.open(file) as archive:
            archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11 has it from 3.11.4 on
            archive.extractall(folder / f"typescript-{VERSION}")
    return found


def plain(page: dict[str, Any]) -> Any:
    """Returns a page as a script gets it."""
    return json.loads(json.dumps({**page, "rungs": list(page["rungs"])}))


def test_types_are_what_the_schema_says() -> None:
    assert FILE.read_text("utf-8") == types(), "python -m scripts.page_types makes them anew"


def test_the_scripts_keep_to_the_types(tsc: Path) -> None:
    done = subprocess.run(
        ["node", tsc, "-p", FILE.parent / "jsconfig.json"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_a_script_that_asks_for_what_is_not_there_is_told(tsc: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(FILE.parent, tmp_path / "static")
    wrong = '// @ts-check\nimport { data } from "./state.js";\nexport const x = data().rungz;\n'
    (copy / "wrong.js").write_text(wrong)
    done = subprocess.run(
        ["node", tsc, "-p", copy / "jsconfig.json"], capture_output=True, text=True, timeout=120, check=False
    )
    assert "error TS2551: Property 'rungz' does not exist on type 'Page'" in done.stdout


@pytest.mark.parametrize("file", sorted(CAPTURES.glob("*.pcapng")), ids=lambda file: file.stem)
def test_what_a_page_has_is_what_the_schema_says(file: Path) -> None:
    with open_run(str(file), words=True, fields=range(1, MOST + 1)) as run:
        found = of_run(run)
    jsonschema.Draft202012Validator(lab.schema("page")).validate(plain(found))


def test_two_captures_are_what_the_schema_says() -> None:
    a, b = (str(CAPTURES / f"{name}.pcapng") for name in ("tls-1.3", "tls-1.2-rsa"))
    found, compared = of_captures(a, b, (0, 0))
    jsonschema.Draft202012Validator(lab.schema("page")).validate(plain(found))
    assert [each["change"] for each in found["compare"]["rows"]].count("same") == sum(
        not each.fields and None not in (each.ours, each.theirs) for each in compared.matches
    )
