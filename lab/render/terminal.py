"""What a terminal is written on with. It is imported where there is one, for it takes long."""

from __future__ import annotations

from rich.console import Console


class Terminal(Console):
    """A console that leaves to its caller what a closed pipe means: rich itself would end the whole program."""

    def on_broken_pipe(self) -> None:
        """Lets the caller have the BrokenPipeError that rich has caught."""
        raise
