"""What the name of a runtime says: python3.12, nodejs20.x, provided.al2023, java8.al2. Pure."""

import re


def family_of(runtime: str) -> str:
    """Return a runtime's name without its version."""
    found = re.match("[a-z]+", runtime)
    return found[0] if found else runtime


def version_of(runtime: str) -> str:
    """Return the version as AWS tells it: 20 for nodejs20.x, al2023 for provided.al2023, 8.al2 for java8.al2."""
    return runtime[len(family_of(runtime)) :].strip(".").removesuffix(".x")


def number_of(runtime: str) -> str:
    """Return the language's version alone: 8 for java8.al2."""
    return version_of(runtime).removesuffix(".al2")
