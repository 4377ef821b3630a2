"""Which runtimes there are: those that run here, those that AWS has beside them, and those that AWS gave up."""

from collections.abc import Sequence

from cumulet.errors import NotImplementedHere, ServiceError

RUNNABLE = (
    "python3.8",
    "python3.9",
    "python3.10",
    "python3.11",
    "python3.12",
    "python3.13",
    "python3.14",
    "nodejs16.x",
    "nodejs18.x",
    "nodejs20.x",
    "nodejs22.x",
    "nodejs24.x",
    "provided.al2",
    "provided.al2023",
    "java8.al2",
    "java11",
    "java17",
    "java21",
    "java25",
)

SNAP_START_RUNTIMES = ("java11", "java17", "java21", "java25", "python3.12", "python3.13", "python3.14")
"""Of those that run here. https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html#snapstart-runtimes"""

NOT_HERE = (
    "dotnet6",
    "dotnet8",
    "dotnet10",
    "ruby3.2",
    "ruby3.3",
    "ruby3.4",
)

# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html, those whose creation and update AWS has blocked.
DEPRECATED = frozenset(
    (
        "dotnetcore1.0",
        "dotnetcore2.0",
        "dotnetcore2.1",
        "dotnetcore3.1",
        "go1.x",
        "java8",
        "nodejs",
        "nodejs4.3",
        "nodejs4.3-edge",
        "nodejs6.10",
        "nodejs8.10",
        "nodejs10.x",
        "nodejs12.x",
        "nodejs14.x",
        "provided",
        "python2.7",
        "python3.6",
        "python3.7",
        "ruby2.5",
        "ruby2.7",
    )
)


_OFFERED = NOT_HERE + RUNNABLE
"""What AWS takes for new functions and layers."""


def check_runtime(runtime: str) -> None:
    """Raise AWS's error for a runtime that it does not have or no longer has, ours for one that does not run here."""
    if runtime in RUNNABLE:
        return
    if runtime in DEPRECATED:
        raise ServiceError(
            "InvalidParameterValueException",
            f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. "
            "We recommend you use a supported runtime while creating or updating functions.",
            Type="User",
        )
    if runtime in NOT_HERE:
        raise NotImplementedHere(f"Runtime {runtime}")
    raise ServiceError(
        "InvalidParameterValueException",
        f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
        f"[{', '.join(_OFFERED)}] or be a valid ARN",
        Type="User",
    )


def check_compatible(name: str, runtimes: Sequence[str], shown: str) -> None:
    """Raise AWS's error, which shows `shown`, if a layer is said to go with a runtime that AWS does not have."""
    if any(runtime not in _OFFERED for runtime in runtimes):
        raise ServiceError(
            "ValidationException",
            f"1 validation error detected: Value '{shown}' at '{name}' failed to satisfy constraint: Member must "
            f"satisfy enum value set: [{', '.join(_OFFERED)}]",
            status=400,
        )
