"""Plans: what changes between two templates."""

from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.core.diff import ChangePlan, Kind, Picture, make_picture, plan_changes
from cumulet.services.cloudformation.core.template import read_template

KINDS = {"T::Fixed": Kind(frozenset({"Name"})), "T::Soft": Kind(frozenset(), taggable=True)}
PSEUDO = {"AWS::Region": "us-east-1"}


def picture(tags: dict[str, str] | None = None, outputs: Any = None, **declared: Any) -> Picture:
    template = read_template({"Resources": declared, "Outputs": outputs or {}}, frozenset(KINDS))
    return make_picture(template, {}, PSEUDO, lambda name: None, tags or {})


def fixed(**properties: Any) -> dict[str, Any]:
    return {"Type": "T::Fixed", "Properties": properties}


def soft(**properties: Any) -> dict[str, Any]:
    return {"Type": "T::Soft", "Properties": properties}


def plan(old: Picture | None, new: Picture) -> ChangePlan:
    return plan_changes(old, new, {"A": "a-1"}, KINDS)


def test_a_new_stack_is_all_additions_in_order() -> None:
    made = plan(None, picture(B=soft(x={"Ref": "A"}), A=fixed(Name="n")))
    assert str(made) == "+ A (T::Fixed)\n+ B (T::Soft)"


def test_the_same_again_is_nothing() -> None:
    declared = {"A": fixed(Name={"Fn::Select": [5, {"Fn::Split": [":", {"Fn::GetAtt": ["B", "Arn"]}]}]}), "B": soft()}
    assert plan(picture(**declared), picture(**declared)).is_empty


def test_a_property_changes_in_place_or_by_replacement() -> None:
    made = plan(picture(A=fixed(Name="n", Size=1)), picture(A=fixed(Name="n", Size=2)))
    assert str(made) == "~ A (T::Fixed): Size"
    assert not made.changes[0].replaces
    assert made.changes[0].physical_id == "a-1"
    assert str(plan(picture(A=fixed(Name="n")), picture(A=fixed(Name="m")))) == "~ A (T::Fixed): Name (recreates)"


def test_a_replacement_spreads_to_those_who_refer_to_it() -> None:
    dependents = {"B": soft(x={"Ref": "A"}), "C": fixed(Name={"Fn::GetAtt": ["A", "Arn"]}), "D": soft(y=1)}
    made = plan(picture(A=fixed(Name="n"), **dependents), picture(A=fixed(Name="m"), **dependents))
    assert [(change.logical_id, change.replaces) for change in made.changes] == [("A", True), ("B", False), ("C", True)]
    assert [change.properties[0].cause for change in made.changes] == [None, "A", "A.Arn"]


def test_what_is_no_longer_there_is_removed_last() -> None:
    made = plan(picture(A=soft(), B=soft(x={"Ref": "A"})), picture(C=soft()))
    assert str(made) == "+ C (T::Soft)\n- B (T::Soft)\n- A (T::Soft)"


def test_another_type_is_refused() -> None:
    with pytest.raises(ServiceError) as refusal:
        plan(picture(A=soft()), picture(A=fixed()))
    assert refusal.value.message == (
        "Update of resource type is not permitted. The new template modifies resource type of the following resources:"
        " [A]"
    )


def test_stack_tags_reach_what_can_carry_them() -> None:
    made = plan(picture({"a": "1"}, A=soft(), B=fixed()), picture({"a": "2"}, A=soft(), B=fixed()))
    assert [(change.logical_id, change.tags_changed) for change in made.changes] == [("A", True)]


def test_outputs_alone_are_a_change() -> None:
    made = plan(picture(A=soft()), picture(None, {"O": {"Value": "x"}}, A=soft()))
    assert made.changes == ()
    assert not made.is_empty
