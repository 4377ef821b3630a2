"""A group of processes whose workers do what the test says: python group.py WORKERS BEHAVIOUR."""

import contextlib
import os
import signal
import sys
import time

from cumulet.clock import SystemClock
from cumulet.edge.processes import ProcessGroup, Seat, WorkersFailed


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def fail(number: int, frame: object) -> None:
    with contextlib.suppress(BrokenPipeError):  # some of it stays in the buffer
        sys.stderr.write("words that nobody reads\n")
    raise WorkersFailed("the store is gone")


def work(seat: Seat) -> None:
    behaviour = sys.argv[2]
    is_renewed = seat.number > int(sys.argv[1])  # the first numbers are taken by those that it replaces
    if behaviour == "refuses":
        raise WorkersFailed("there is no store")
    if behaviour == "ends" or (behaviour == "ends once renewed" and is_renewed):
        os._exit(3)
    if behaviour == "starts slowly once renewed" and is_renewed:
        say("starts")
        time.sleep(0.3)
    if behaviour == "raises":
        raise LookupError("a bug")
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour == "fails":
        signal.signal(signal.SIGTERM, fail)
    say("serves", seat.number, os.getpid())
    seat.ready()
    if behaviour == "ends early":
        os._exit(4)
    signal.signal(signal.SIGUSR1, lambda number, frame: os._exit(0))
    os.read(seat.parent, 1)


try:
    ProcessGroup(int(sys.argv[1]), work, SystemClock(), lambda: say("ready")).run()
except WorkersFailed as failure:
    say("failed", failure)
    sys.exit(1)
say("over")
