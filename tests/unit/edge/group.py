"""A group of processes whose workers do what the test says: python group.py WORKERS BEHAVIOUR."""

import os
import signal
import sys
import time

from cumulet.clock import SystemClock
from cumulet.edge.processes import ProcessGroup, Seat, WorkersFailed

BORN = time.monotonic()


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def work(seat: Seat) -> None:
    behaviour = sys.argv[2]
    if behaviour == "refuses":
        raise WorkersFailed("there is no store")
    if behaviour == "ends" or (behaviour == "ends once renewed" and time.monotonic() > BORN + 0.5):
        os._exit(3)
    if behaviour == "starts slowly once renewed" and time.monotonic() > BORN + 0.5:
        say("starts")
        time.sleep(0.3)
    if behaviour == "raises":
        raise LookupError("a bug")
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
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
