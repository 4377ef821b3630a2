"""The fleet planner: within its limits, no demand forgotten, and done when it is done."""

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.lambda_.execution.environment import IDLE, State
from cumulet.services.lambda_.execution.fleet import Assign, Demand, Member, Room, Start, Stop, find_warm, plan_fleet

revisions = st.sampled_from(["old", "new"])
NOW_S = 1000.0


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Demand], list[Member], Room]:
    demands = [Demand(100 + n, draw(revisions)) for n in range(draw(st.integers(0, 6)))]
    members = [
        Member(
            n,
            draw(revisions),
            draw(st.sampled_from([State.STARTING, State.READY, State.BUSY, State.FROZEN, State.STOPPING])),
            draw(st.floats(0, NOW_S)),
            draw(st.sampled_from([NOW_S - 1, NOW_S + 5000])),
            draw(st.booleans()),
        )
        for n in range(draw(st.integers(0, 6)))
    ]
    elsewhere = [Member(1000 + n, "x", State.READY, float(n), NOW_S + 5000) for n in range(draw(st.integers(0, 3)))]
    room = Room(
        draw(st.integers(-1, 8)),
        draw(st.integers(0, 4)),
        draw(st.sampled_from([300.0, 2000.0])),
        elsewhere,
        draw(st.sampled_from([None, "", "new"])),
        *draw(st.sampled_from([(0, ""), (1, "new"), (3, "new")])),
    )
    return demands, members, room


@settings(max_examples=400, deadline=None)
@given(situations())
def test_a_plan_keeps_to_the_limits(situation: tuple[list[Demand], list[Member], Room]) -> None:
    demands, members, room = situation
    plan = plan_fleet(demands, members, room, NOW_S)
    starts = [action for action in plan if isinstance(action, Start)]
    stops = [action for action in plan if isinstance(action, Stop)]
    assigns = [action for action in plan if isinstance(action, Assign)]
    starting = sum(member.state is State.STARTING for member in members)
    assert not starts or starting + len(starts) <= room.starts_at_a_time
    assert len(starts) <= max(0, room.environments + len(stops))
    by_id = {member.id: member for member in [*members, *room.idle_elsewhere]}
    for stop in stops:
        assert by_id[stop.member].state in IDLE
    touched = Counter([stop.member for stop in stops] + [assign.member for assign in assigns])
    assert all(times == 1 for times in touched.values())
    wanted = {demand.id: demand for demand in demands}
    for assign in assigns:
        member = by_id[assign.member]
        assert member.state in IDLE
        assert member.revision_id == wanted[assign.demand].revision_id
        assert member.expires_s > NOW_S


@settings(max_examples=400, deadline=None)
@given(situations())
def test_an_idle_environment_is_never_left_beside_a_demand_for_it(
    situation: tuple[list[Demand], list[Member], Room],
) -> None:
    demands, members, room = situation
    plan = plan_fleet(demands, members, room, NOW_S)
    taken = {action.member for action in plan if isinstance(action, Assign | Stop)}
    served = {action.demand for action in plan if isinstance(action, Assign)}
    for demand in demands:
        if demand.id not in served:
            assert not [
                m for m in members if m.state in IDLE and m.revision_id == demand.revision_id and m.id not in taken
            ]


@settings(max_examples=400, deadline=None)
@given(situations())
def test_a_lone_demand_is_given_what_the_plan_would_give_it(situation: tuple[list[Demand], list[Member], Room]) -> None:
    _, members, room = situation
    members = [msgspec.structs.replace(member, kept=False, last_used_s=999.0 + member.id) for member in members]
    room = msgspec.structs.replace(room, kept=0, kept_revision_id="", present_revision_id=None)
    plan = plan_fleet([Demand(100, "new")], members, room, NOW_S)
    warm = find_warm(members, "new", room.idle_expiry_s, NOW_S)
    if warm is not None:
        assert Assign(100, warm.id) in plan
        assert not [action for action in plan if isinstance(action, Start)]
    elif {member.revision_id for member in members} == {"new"} and all(m.expires_s > NOW_S for m in members):
        assert not [action for action in plan if isinstance(action, Assign)]


@settings(max_examples=300, deadline=None)
@given(situations())
def test_every_demand_is_served_in_order_of_its_revision_if_environments_come_and_go(
    situation: tuple[list[Demand], list[Member], Room],
) -> None:
    demands, members, room = situation
    room = msgspec.structs.replace(room, starts_at_a_time=max(1, room.starts_at_a_time), idle_elsewhere=())
    capacity = max(1, len(members) + room.environments)
    waiting, living, number, served = list(demands), list(members), 5000, []
    for _ in range(60):
        now = msgspec.structs.replace(room, environments=capacity - len(living), kept=0, kept_revision_id="")
        for action in plan_fleet(waiting, living, now, NOW_S):
            if isinstance(action, Stop):
                living = [member for member in living if member.id != action.member]
            elif isinstance(action, Start):
                number += 1
                living.append(Member(number, action.revision_id, State.STARTING, NOW_S, NOW_S + 5000))
            else:
                served.append(action.demand)
                waiting = [demand for demand in waiting if demand.id != action.demand]
                living = [
                    msgspec.structs.replace(member, state=State.BUSY) if member.id == action.member else member
                    for member in living
                ]
        # The world moves on: what starts is ready, what is busy has answered, what stops is gone.
        living = [
            msgspec.structs.replace(member, state=State.READY, last_used_s=NOW_S)
            for member in living
            if member.state is not State.STOPPING
        ]
    assert waiting == []
    for revision in ("old", "new"):
        of_it = [demand.id for demand in demands if demand.revision_id == revision]
        assert [number for number in served if number in of_it] == of_it


@settings(max_examples=200, deadline=None)
@given(situations())
def test_with_nothing_to_do_a_second_plan_is_empty(situation: tuple[list[Demand], list[Member], Room]) -> None:
    _, members, room = situation
    stopped = {action.member for action in plan_fleet([], members, room, NOW_S) if isinstance(action, Stop)}
    left = [member for member in members if member.id not in stopped]
    room = msgspec.structs.replace(room, environments=0, idle_elsewhere=())
    assert plan_fleet([], left, room, NOW_S) == []


@settings(max_examples=200, deadline=None)
@given(situations())
def test_without_demand_nothing_of_a_past_revision_stays_idle(
    situation: tuple[list[Demand], list[Member], Room],
) -> None:
    _, members, room = situation
    stopped = {action.member for action in plan_fleet([], members, room, NOW_S) if isinstance(action, Stop)}
    for member in members:
        if member.kept and member.revision_id == room.kept_revision_id:
            continue  # it goes when it is kept no longer
        if member.state in IDLE and room.present_revision_id not in (None, member.revision_id):
            assert member.id in stopped


@settings(max_examples=300, deadline=None)
@given(situations())
def test_what_is_to_be_kept_comes_to_be_and_no_more(situation: tuple[list[Demand], list[Member], Room]) -> None:
    _, members, room = situation
    room = msgspec.structs.replace(room, starts_at_a_time=max(1, room.starts_at_a_time), idle_elsewhere=())
    # What is busy would answer in its time, and what is stopping be gone.
    living = [member for member in members if member.state in IDLE or member.state is State.STARTING]
    capacity = len(living) + room.kept
    number = 5000
    for _ in range(20):
        now = msgspec.structs.replace(room, environments=capacity - len(living))
        plan = plan_fleet([], living, now, NOW_S)
        for action in plan:
            if isinstance(action, Stop):
                living = [member for member in living if member.id != action.member]
            elif isinstance(action, Start):
                assert action.kept
                number += 1
                living.append(Member(number, action.revision_id, State.STARTING, NOW_S, NOW_S + 5000, action.kept))
        living = [msgspec.structs.replace(member, state=State.READY) for member in living]
    kept = [member for member in living if member.kept]
    assert len(kept) == room.kept
    assert all(member.revision_id == room.kept_revision_id and member.expires_s > NOW_S for member in kept)


@settings(max_examples=200, deadline=None)
@given(situations())
def test_what_is_kept_is_never_ended_for_being_idle(situation: tuple[list[Demand], list[Member], Room]) -> None:
    demands, members, room = situation
    kept = {
        member.id
        for member in members
        if member.kept and member.revision_id == room.kept_revision_id and member.expires_s > NOW_S
    }
    room = msgspec.structs.replace(room, kept=len(members))
    stopped = {action.member for action in plan_fleet(demands, members, room, NOW_S) if isinstance(action, Stop)}
    assert not stopped & kept
