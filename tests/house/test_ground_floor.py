"""Time comes from clock.py, chance from ids.py, the environment through settings.py, and from nowhere else."""

import ast

from sources import Module, modules

# What runs in a function's own process, or in the one it is forked from, is no part of the server: nobody hands it a
# clock, it reseeds chance after the fork, and the environment is how it is told about its function.
INSIDE_A_FUNCTION = {
    "services.lambda_.runtimes": "runs inside a function's own process",
    "services.lambda_.execution.sandbox.forkserver": "is the process that functions are forked from",
    "services.lambda_.execution.sandbox.snapshot": "waits in a function's own process, and becomes another one",
}

TIME = (
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.sleep",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
)
MAY_TELL_TIME = {
    "clock": "the one source",
    "cli": "a client: it waits for a server that has a clock of its own",
    **INSIDE_A_FUNCTION,
}

CHANCE = ("uuid", "secrets", "random", "os.urandom")
MAY_THROW_DICE = {
    "ids": "the one source",
    **INSIDE_A_FUNCTION,
}

ENVIRONMENT = ("os.environ", "os.environb", "os.getenv", "os.putenv")
MAY_READ_ENVIRONMENT = {
    "settings": "the one reader",
    "cli": "a client: where the server is, and the AWS credentials of the person who calls it",
    **INSIDE_A_FUNCTION,
}


def offences(banned: tuple[str, ...], may: dict[str, str]) -> list[str]:
    """Return where a banned name is imported or used by a module that may not."""
    return [
        f"{module.name} line {line}: {name}"
        for module in modules()
        if not module.within(*may)
        for line, name in _mentioned(module)
        if any(name == word or name.startswith(word + ".") for word in banned)
    ]


def _mentioned(module: Module) -> list[tuple[int, str]]:
    # datetime.datetime.now and datetime.now are one thing.
    used = [(line, name.removeprefix("datetime.") if name.count(".") > 1 else name) for line, name in module.names]
    return sorted({*module.imports, *used})


def test_time_comes_from_the_clock() -> None:
    assert offences(TIME, MAY_TELL_TIME) == []


def test_chance_comes_from_the_ids() -> None:
    assert offences(CHANCE, MAY_THROW_DICE) == []


def test_the_environment_is_read_by_settings() -> None:
    assert offences(ENVIRONMENT, MAY_READ_ENVIRONMENT) == []


def test_broad_excepts_stand_in_three_places() -> None:
    """`except Exception` hides bugs; only the edge, the worker loop and the supervisor may not fall over one."""
    may = ("edge", "workers", "nodes", "services.lambda_.execution", *INSIDE_A_FUNCTION)
    wrong = [
        f"{module.name} line {node.lineno}"
        for module in modules()
        if not module.within(*may)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")))
        and not any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
    ]
    assert wrong == []
