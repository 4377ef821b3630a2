"""What the name of a runtime says: python3.12, nodejs20.x, provided.al2023, java8.al2; and how its versions are called.

Pure.
"""

import hashlib
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


def runtime_version(runtime: str, region: str, interpreter: str) -> tuple[str, str]:
    """Return how the version of a runtime is called, and its ARN. `interpreter` is what runs it, e.g. 3.11.7.

    A runtime that runs on another interpreter than its name says is another version of it, whatever its number is.
    """
    # AWS writes python:3.12.v36, nodejs:20.v39 and provided:al2023.v59.
    version = f"{family_of(runtime)}:{version_of(runtime)}.v{interpreter.rpartition('.')[2]}"
    digest = hashlib.sha256(f"{runtime} {interpreter}".encode()).hexdigest()
    return version, f"arn:aws:lambda:{region}::runtime:{digest}"
