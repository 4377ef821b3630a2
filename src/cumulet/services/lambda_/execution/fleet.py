"""What to do about a function's demand, decided with data: `plan_fleet` returns actions and touches nothing.

One fleet is the environments of one function version. Demands are served in the order in which they came, by the
environment that was used last (it is the warmest, and the others may grow old and go). An environment of another
revision than the function's present one gets no work and goes as soon as it is idle. Some environments are kept: ready
ahead of any demand, first to be used, and never ended for being idle.

Most demands come alone, to a fleet that has an idle environment for them and nothing else to do: `find_warm` says what
the plan would, without one. Pure.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeAlias, TypeVar

import msgspec

from cumulet.services.lambda_.execution.environment import ALIVE, IDLE, State


class Member(msgspec.Struct, frozen=True):
    """One environment, as far as the planner cares."""

    id: int
    revision_id: str
    state: State
    last_used_s: float
    expires_s: float
    """When its credentials run out; it gets no work from then on."""
    kept: bool = False
    """Started to be ready ahead of demand."""


class Demand(msgspec.Struct, frozen=True):
    """One invocation that waits, for an environment of this revision."""

    id: int
    revision_id: str


class Room(msgspec.Struct, frozen=True):
    """What the machine allows beyond this fleet."""

    environments: int
    """How many more the machine may run. May be negative."""
    starts_at_a_time: int
    idle_expiry_s: float
    idle_elsewhere: Sequence[Member] = ()
    """Idle environments of other functions, oldest use first: they give way when the machine is full."""
    present_revision_id: str | None = None
    """The function's revision, if it is known that environments of any other will not be asked for again."""
    kept: int = 0
    """How many environments are to be ready ahead of demand."""
    kept_revision_id: str = ""
    """Of which revision; empty if none are."""


class Start(msgspec.Struct, frozen=True):
    """Start an environment of this revision."""

    revision_id: str
    kept: bool = False


class Assign(msgspec.Struct, frozen=True):
    """Give this demand to this environment."""

    demand: int
    member: int


class Stop(msgspec.Struct, frozen=True):
    """End this environment."""

    member: int


Action: TypeAlias = Start | Assign | Stop


class Candidate(Protocol):
    """One environment, as far as a demand that comes alone cares."""

    @property
    def revision_id(self) -> str: ...
    @property
    def state(self) -> State: ...
    @property
    def last_used_s(self) -> float: ...
    @property
    def expires_s(self) -> float: ...


C = TypeVar("C", bound=Candidate)


def find_warm(members: Iterable[C], revision_id: str, idle_expiry_s: float, now_s: float) -> C | None:
    """Return the environment that a lone demand of this revision is given, in a fleet in which none are kept.

    None: it takes a plan, since there is none, or something else to do.
    """
    warmest: C | None = None
    for member in members:
        if member.revision_id != revision_id:
            return None
        if member.state in IDLE and (warmest is None or member.last_used_s >= warmest.last_used_s):
            warmest = member
    if warmest is None or now_s >= warmest.expires_s or now_s - warmest.last_used_s >= idle_expiry_s:
        return None
    return warmest


def plan_fleet(demands: Sequence[Demand], members: Sequence[Member], room: Room, now_s: float) -> list[Action]:
    """Return what to do now: stops first, then assignments, then starts.

    Every demand is assigned, or waits for an environment that is starting or busy, or for the machine to have room.
    Demands come before what is to be kept.
    """
    stops: list[Action] = []
    assigns: list[Action] = []
    starts: list[Action] = []
    wanted = {demand.revision_id for demand in demands}
    idle: list[Member] = []
    starting = 0
    for member in members:
        if member.state is State.STARTING:
            starting += 1
        elif member.state in IDLE:
            if _is_spent(member, wanted, room, now_s):
                stops.append(Stop(member.id))
            else:
                idle.append(member)
    idle.sort(key=lambda member: (member.kept, member.last_used_s))
    waiting: list[Demand] = []
    for demand in demands:
        found = next((at for at in range(len(idle) - 1, -1, -1) if idle[at].revision_id == demand.revision_id), None)
        if found is None:
            waiting.append(demand)
        else:
            assigns.append(Assign(demand.id, idle.pop(found).id))
    kept = [
        member for member in members if _is_kept(member, room) and member.state in ALIVE and now_s < member.expires_s
    ]
    missing = room.kept - len(kept)
    given_up = [member for member in idle if member.kept and not _is_kept(member, room)]
    given_up += [member for member in idle if _is_kept(member, room)][: max(-missing, 0)]
    stops += [Stop(member.id) for member in given_up]
    free = room.environments + len(stops)
    elsewhere = list(room.idle_elsewhere)
    coming: dict[str, int] = {}
    for member in members:
        if member.state is State.STARTING:
            coming[member.revision_id] = coming.get(member.revision_id, 0) + 1
    needed: list[Start] = []
    for demand in waiting:
        if coming.get(demand.revision_id, 0) > 0:
            coming[demand.revision_id] -= 1
        else:
            needed.append(Start(demand.revision_id))
    needed += [Start(room.kept_revision_id, kept=True)] * missing
    for start in needed[: max(room.starts_at_a_time - starting, 0)]:
        while free <= 0 and elsewhere:
            stops.append(Stop(elsewhere.pop(0).id))
            free += 1
        if free <= 0:
            break
        starts.append(start)
        free -= 1
    return stops + assigns + starts


def _is_kept(member: Member, room: Room) -> bool:
    return member.kept and member.revision_id == room.kept_revision_id


def _is_past(member: Member, room: Room) -> bool:
    return room.present_revision_id is not None and member.revision_id != room.present_revision_id


def _is_spent(member: Member, wanted: set[str], room: Room, now_s: float) -> bool:
    if _is_kept(member, room):
        return now_s >= member.expires_s
    return (
        # A demand tells which revision is the present one. An older one may wait for its own: that is served first.
        (member.revision_id not in wanted and (len(wanted) > 0 or _is_past(member, room)))
        or now_s >= member.expires_s
        or now_s - member.last_used_s >= room.idle_expiry_s
    )
