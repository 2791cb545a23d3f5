"""What can go wrong, said in two lines: what, and what to do. Each error knows the exit status it ends with."""

from __future__ import annotations

from lab.text import Text


class LabError(Exception):
    """Ends the command with `error: message`, `hint: hint` on standard error and `status` as its exit status."""

    status = 1

    def __init__(self, message: Text, hint: Text) -> None:
        super().__init__(message, hint)  # both, so that it survives pickling
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message.en


class UsageError(LabError):
    """The command line asks for something that does not exist."""

    status = 2


class InputError(LabError):
    """The input can't be read at all."""

    status = 3


class MachineError(LabError):
    """This machine can't do it, or a tool is missing."""

    status = 4
