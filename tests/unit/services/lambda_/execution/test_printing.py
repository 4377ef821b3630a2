"""What a Python function prints: line by line, each by one write, and otherwise as Python's own `print` has it."""

import inspect
import io
import json
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cumulet.services.lambda_.runtimes.python.bootstrap import print_by_one_write, unbuffered


class Writes:
    """Standard output that keeps writes apart, as packets."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        self.stdout = unbuffered(self._theirs.fileno())

    def take(self) -> list[bytes]:
        """Return what was written since the last time."""
        taken = []
        while True:
            try:
                taken.append(self._ours.recv(65_536))
            except BlockingIOError:
                return taken

    def close(self) -> None:
        self.stdout.close()
        self._ours.close()
        self._theirs.close()


@pytest.fixture
def writes() -> Iterator[Writes]:
    """What a test makes its standard output: pytest sets its own once fixtures are made."""
    made = Writes()
    yield made
    made.close()


class Shy:
    def __str__(self) -> str:
        raise ValueError("no words")


PRINTS: dict[str, tuple[Callable[[Any], None], list[bytes]]] = {
    "a line": (lambda p: p("one"), [b"one\n"]),
    "several values": (lambda p: p("one", 2, None, b"3"), [b"one 2 None b'3'\n"]),
    "nothing": (lambda p: p(), [b"\n"]),
    "lines in a value": (lambda p: p("one\ntwo"), [b"one\ntwo\n"]),
    "no character": (lambda p: p("\ud800"), [b"\\ud800\n"]),
    "an end of its own": (lambda p: p("one", end=""), [b"one", b""]),
    "a separator of its own": (lambda p: p("one", "two", sep="-"), [b"one", b"-", b"two", b"\n"]),
    "to standard output by name": (lambda p: p("one", file=sys.stdout), [b"one", b"\n"]),
}


@pytest.mark.parametrize("case", PRINTS)
def test_what_is_written(writes: Writes, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", writes.stdout)
    prints, expected = PRINTS[case]
    prints(print_by_one_write(writes.stdout))
    assert writes.take() == expected
    prints(print)
    assert b"".join(writes.take()) == b"".join(expected)


def test_it_goes_where_standard_output_was_redirected(writes: Writes, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = io.StringIO()
    whole = print_by_one_write(writes.stdout)
    monkeypatch.setattr(sys, "stdout", elsewhere)
    whole("one", 2)
    assert (elsewhere.getvalue(), writes.take()) == ("one 2\n", [])


def test_errors_are_its_callers(writes: Writes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", writes.stdout)
    whole = print_by_one_write(writes.stdout)
    with pytest.raises(ValueError, match="no words"):
        whole("one", Shy())
    with pytest.raises(TypeError, match="sep must be None or a string, not int"):
        whole("one", sep=7)
    assert inspect.signature(whole) == inspect.signature(print)
    assert (whole.__name__, whole.__module__) == ("print", "builtins")


SHY = """
class Shy:
    def __str__(self):
        raise ValueError("no words")
def lambda_handler(event, context):
    print("to be seen")
    print(Shy())
"""


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_stack_traces_do_not_show_it(rig: Any) -> None:
    result = await rig.invoke(await rig.function(SHY))
    trace = json.loads(result.payload)["stackTrace"]
    assert ["".join(frame.partition('File "')[2].splitlines()[0]).split("/")[-1] for frame in trace] == [
        'lambda_function.py", line 7, in lambda_handler',
        'lambda_function.py", line 4, in __str__',
    ]
    assert "to be seen\n" in result.log_tail.decode()
