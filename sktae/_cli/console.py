"""What a command says to people, on standard error."""

import contextlib
import json
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import typer


class Console:
    """Says sentences, and remembers the notes among them.

    Parameters
    ----------
    quiet : bool
        Whether to say nothing.
    """

    def __init__(self, quiet: bool):
        self.quiet = quiet
        self.notes: list[str] = []

    @property
    def shows_progress(self) -> bool:
        """Whether someone watches, so that progress bars are of use."""
        return not self.quiet and sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Say something, unless the command is to be quiet."""
        if not self.quiet:
            typer.echo(text, err=True)

    def note(self, text: str) -> None:
        """Say what may change how results are read; once."""
        if text not in self.notes:
            self.notes.append(text)
            self.say(f"Note: {text}")

    def summarize(self, summary: dict[str, Any]) -> None:
        """Write a summary for machines to standard output."""
        typer.echo(json.dumps({**summary, "notes": self.notes}, indent=2, default=_plain))

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Say the warnings of the library as notes."""
        with warnings.catch_warnings():
            warnings.filterwarnings("always", category=UserWarning)
            show = warnings.showwarning

            def say(message, category, *where):
                if issubclass(category, UserWarning):
                    self.note(" ".join(str(message).split()))
                else:
                    show(message, category, *where)

            warnings.showwarning = say
            yield


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: numbers of NumPy as those of Python, times as text."""
    return value.item() if hasattr(value, "item") else str(value)
