"""How the command line speaks: results on standard output, everything else on standard error."""

import sys
from typing import NoReturn

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class CliError(Exception):
    """What went wrong and what to do, in words for a person."""


def fail(message: str) -> NoReturn:
    """Print why the command could not do its work and end with status 1."""
    err.print("error:", style="bold red", end=" ")
    err.print(message, markup=False)
    sys.exit(1)
