"""From a stack's records to the values of its template's functions."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from cumulet.scope import Scope
from cumulet.services.cloudformation.core.elsewhere import is_elsewhere
from cumulet.services.cloudformation.core.errors import validation_error
from cumulet.services.cloudformation.core.intrinsics import NO_VALUE, Values, evaluate_conditions, find_references
from cumulet.services.cloudformation.core.parameters import typed_values
from cumulet.services.cloudformation.core.template import Template, read_template
from cumulet.services.cloudformation.records import Desired, StackResource
from cumulet.services.cloudformation.resources import TYPES
from cumulet.services.cloudformation.resources.kit import has_attribute

KNOWN_TYPES = frozenset(TYPES)


def pseudo_parameters(scope: Scope, stack_name: str, stack_id: str) -> dict[str, Any]:
    """Return what the AWS:: parameters stand for in one stack."""
    return {
        "AWS::AccountId": scope.account,
        "AWS::NotificationARNs": [],
        "AWS::NoValue": NO_VALUE,
        "AWS::Partition": "aws",
        "AWS::Region": scope.region,
        "AWS::StackId": stack_id,
        "AWS::StackName": stack_name,
        "AWS::URLSuffix": "amazonaws.com",
    }


def template_of(desired: Desired) -> Template:
    """Return a stack's template, which was checked when it came."""
    return read_template(json.loads(desired.processed), KNOWN_TYPES)


def values_for(
    template: Template,
    desired: Desired,
    pseudo: Mapping[str, Any],
    resources: Mapping[str, StackResource],
    find_export: Callable[[str], str | None],
) -> Values:
    """Return the values of a template's functions, given the resources that are there by now."""

    def resource(logical_id: str, attribute: str | None) -> Any:
        found = resources.get(logical_id)
        if found is None:
            raise validation_error(f"Unresolved dependency {logical_id}: its condition says that it does not exist")
        if attribute is None:
            return found.physical_id
        if attribute not in found.attributes:
            raise validation_error(f"Attribute '{attribute}' does not exist")
        return found.attributes[attribute]

    values = Values(
        parameters={**pseudo, **typed_values(template.parameters, desired.parameters)},
        mappings=template.mappings,
        resource=resource,
        find_export=find_export,
    )
    conditions = evaluate_conditions(template.conditions, values)
    return Values(values.parameters, values.mappings, resource, find_export, conditions)


def check_attributes(template: Template) -> None:
    """Raise ValidationError for an Fn::GetAtt of an attribute that the resource's type does not have."""
    places = [item.properties for item in template.resources.values()] + list(template.outputs.values())
    for reference in (reference for place in places for reference in find_references(place)):
        declared = template.resources.get(reference.logical_id)
        if declared is None or not reference.attribute or is_elsewhere(declared.type):
            continue
        if not has_attribute(TYPES[declared.type], reference.attribute):
            raise validation_error(
                f"Template error: resource {reference.logical_id} does not support attribute type"
                f" {reference.attribute} in Fn::GetAtt"
            )
