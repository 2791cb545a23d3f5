"""How tests are told apart: by the fixtures they use, and by the files that share something."""

from __future__ import annotations

import pytest

from tests.conftest import MACHINE, SLOW_FOLDERS, TOGETHER, pytest_collection_modifyitems
from tests.places import ROOT, TESTS


def test_what_shares_something_is_there() -> None:
    for places in TOGETHER.values():
        assert [place for place in places if not (ROOT / place).exists()] == []
    assert [folder for folder in SLOW_FOLDERS if not (TESTS / folder).is_dir()] == []


def test_what_uses_a_fixture_of_the_machine_is_marked(request: pytest.FixtureRequest) -> None:
    for item in request.session.items:
        uses = not MACHINE.isdisjoint(getattr(item, "fixturenames", ()))
        assert (item.get_closest_marker("machine") is not None) == uses, item.nodeid


def test_a_file_that_shares_something_and_is_not_named_is_refused(request: pytest.FixtureRequest) -> None:
    class Elsewhere(pytest.Function):
        @property
        def nodeid(self) -> str:
            return "tests/engine/test_elsewhere.py::test_it"

    def test_it(namespaces: None) -> None: ...

    item = Elsewhere.from_parent(request.node.parent, name="test_it", callobj=test_it)
    with pytest.raises(pytest.UsageError, match=r"lacks: tests/engine/test_elsewhere\.py$"):
        pytest_collection_modifyitems(request.config, [item])
