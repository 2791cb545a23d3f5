"""The folder as `lab.protocols.ssh` in this process, beside the lab's own, which is not changed: for what is pure."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path as File
from typing import Any

FOLDER = File(__file__).parent / "folder"
NAME = "lab.protocols.ssh"


def module(name: str = "") -> Any:
    """Returns the package, or one of its modules."""
    if NAME not in sys.modules:
        spec = spec_from_file_location(NAME, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)])
        assert spec
        assert spec.loader
        made = sys.modules[NAME] = module_from_spec(spec)
        spec.loader.exec_module(made)
    return import_module(f"{NAME}.{name}") if name else sys.modules[NAME]
