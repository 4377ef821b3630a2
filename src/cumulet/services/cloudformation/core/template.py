"""A template's sections, checked: what can be said about it before any parameter has a value.

A template that declares a transform has been through it before it comes here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cumulet.errors import NotImplementedHere
from cumulet.services.cloudformation.core.elsewhere import is_custom, is_elsewhere
from cumulet.services.cloudformation.core.errors import validation_error
from cumulet.services.cloudformation.core.include import INCLUDE, find_embedded, location_of
from cumulet.services.cloudformation.core.intrinsics import PSEUDO_PARAMETERS, find_references
from cumulet.services.cloudformation.limits import MAPPINGS_MAX, OUTPUTS_MAX, PARAMETERS_MAX, RESOURCES_MAX

_SECTIONS = {
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Mappings",
    "Conditions",
    "Resources",
    "Outputs",
    "Transform",
}
_SECTIONS_REFUSED = {"Rules", "Hooks"}
_RESOURCE_MEMBERS = {
    "Type",
    "Properties",
    "DependsOn",
    "Condition",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "Metadata",
    # Undocumented and without effect, but in many templates: https://github.com/shalupov/idea-cloudformation/issues/117
    "Description",
}
_RESOURCE_MEMBERS_REFUSED = {"CreationPolicy", "UpdatePolicy"}
_DELETION_POLICIES = {"Delete", "Retain", "RetainExceptOnCreate"}
_PROPERTIES = re.compile(r"^(/Resources/[^/]+)/Properties/")
"""What AWS calls Type where it names a place in a resource: "[/Resources/myInstance/Type/EbsOptimized]"."""
_LOGICAL_ID = re.compile(r"[a-zA-Z0-9]+")


@dataclass(frozen=True, slots=True)
class Declaration:
    """One resource as the template declares it, its intrinsic functions unresolved."""

    type: str
    properties: Mapping[str, Any]
    depends_on: tuple[str, ...] = ()
    condition: str | None = None
    deletion_policy: str = "Delete"
    update_replace_policy: str = "Delete"


@dataclass(frozen=True, slots=True)
class Template:
    """A checked template."""

    description: str
    parameters: Mapping[str, Mapping[str, Any]]
    mappings: Mapping[str, Mapping[str, Mapping[str, Any]]]
    conditions: Mapping[str, Any]
    resources: Mapping[str, Declaration]
    outputs: Mapping[str, Mapping[str, Any]]


def find_transforms(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the transforms that a template declares, in the order in which they work: embedded ones first."""
    embedded = [INCLUDE] if [location_of(argument) for argument in find_embedded(raw)] else []
    declared = raw.get("Transform", [])
    whole = declared if isinstance(declared, list) else [declared]
    return (*embedded, *(str(one.get("Name") if isinstance(one, dict) else one) for one in whole))


def check_sections(raw: Mapping[str, Any], also: frozenset[str] = frozenset()) -> None:
    """Raise ValidationError for a section that no template has. `also` are sections of the template's transform."""
    for name in raw:
        if name in _SECTIONS_REFUSED:
            raise NotImplementedHere(f"The template section {name}")
    if unknown := [str(name) for name in raw if name not in _SECTIONS and name not in also]:
        raise validation_error(f"Invalid template property or properties [{', '.join(sorted(unknown))}]")
    version = raw.get("AWSTemplateFormatVersion", "2010-09-09")
    if version != "2010-09-09":
        raise validation_error(f"Template format error: Invalid template version [{version}]")
    if not isinstance(raw.get("Description", ""), str):
        raise validation_error("Template format error: Description must be a string")
    if not raw.get("Resources") or not isinstance(raw["Resources"], dict):
        raise validation_error("Template format error: At least one Resources member must be defined.")


def read_template(raw: Mapping[str, Any], known_types: frozenset[str]) -> Template:
    """Return the template that the sections are. Raises ValidationError in AWS's words."""
    check_sections(raw)
    template = Template(
        description=raw.get("Description", ""),
        parameters=_section(raw, "Parameters", PARAMETERS_MAX),
        mappings=_section(raw, "Mappings", MAPPINGS_MAX),
        conditions=_section(raw, "Conditions", None),
        resources={
            name: _read_resource(name, value) for name, value in _section(raw, "Resources", RESOURCES_MAX).items()
        },
        outputs=_section(raw, "Outputs", OUTPUTS_MAX),
    )
    _check_types(template, known_types)
    _check_references(template)
    _check_outputs(template)
    return template


def refuse_nulls(value: Any, path: str = "") -> None:
    """Raise ValidationError for a template with a null anywhere: `Key:` in YAML, with nothing behind it."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in below:
        if part is None:
            shown = _PROPERTIES.sub(r"\1/Type/", f"{path}/{name}")
            raise validation_error(f"[{shown}] 'null' values are not allowed in templates")
        refuse_nulls(part, f"{path}/{name}")


def _section(raw: Mapping[str, Any], name: str, most: int | None) -> dict[str, Any]:
    section = raw.get(name) or {}
    if not isinstance(section, dict):
        raise validation_error(f"Template format error: {name} must be an object")
    if most is not None and len(section) > most:
        raise validation_error(
            f"Template format error: Number of {name.lower()}, {len(section)}, is greater than maximum allowed, {most}"
        )
    for member, value in section.items():
        if not isinstance(member, str) or (name in ("Resources", "Outputs") and not _LOGICAL_ID.fullmatch(member)):
            raise validation_error(
                f"Template format error: {name.removesuffix('s')} name {member} is non alphanumeric."
            )
        if not isinstance(value, dict):
            raise validation_error(f"Template format error: Every {name} member must be an object.")
    return section


def _read_resource(name: str, value: Mapping[str, Any]) -> Declaration:
    kind = value.get("Type")
    if not isinstance(kind, str):
        raise validation_error(
            f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
        )
    for member in value:
        if member in _RESOURCE_MEMBERS_REFUSED:
            raise NotImplementedHere(f"The attribute {member} of a resource")
        if member == "Version" and (is_custom(kind) or kind == "AWS::CloudFormation::CustomResource"):
            continue  # of how it is asked: there is one
        if member not in _RESOURCE_MEMBERS:
            raise validation_error(f"Invalid template resource property '{member}'")
    properties = value.get("Properties")
    if properties is not None and not isinstance(properties, dict):
        raise validation_error(f"Template format error: [/Resources/{name}/Properties] Properties must be an object")
    for member in properties or ():
        # Functions stand for values of properties, not for all of them.
        if member == "Ref" or (isinstance(member, str) and member.startswith("Fn::")):
            raise validation_error(f"Encountered unsupported property {member}")
    depends_on = value.get("DependsOn", [])
    depends_on = [depends_on] if isinstance(depends_on, str) else depends_on
    if not isinstance(depends_on, list) or not all(isinstance(other, str) for other in depends_on):
        raise validation_error("Template format error: Every DependsOn value must be a string.")
    deletion_policy = value.get("DeletionPolicy", "Delete")
    return Declaration(
        type=kind,
        properties=properties or {},
        depends_on=tuple(depends_on),
        condition=value.get("Condition"),
        deletion_policy=_policy("DeletionPolicy", deletion_policy),
        update_replace_policy=_policy("UpdateReplacePolicy", value.get("UpdateReplacePolicy", "Delete")),
    )


def _policy(member: str, policy: Any) -> str:
    if policy == "Snapshot":
        # Only types that take snapshots know it, and none of them is here.
        raise validation_error(f"Template error: resource type does not support {member} Snapshot")
    if not isinstance(policy, str) or policy not in _DELETION_POLICIES:
        raise validation_error(f"Template format error: Unrecognized {member} {policy} for resource")
    return policy


def _check_types(template: Template, known_types: frozenset[str]) -> None:
    named = {resource.type for resource in template.resources.values()}
    unknown = sorted(name for name in named - known_types if not is_custom(name) and not is_elsewhere(name))
    if unknown:
        raise validation_error(f"Template format error: Unrecognized resource types: [{', '.join(unknown)}]")


def _check_references(template: Template) -> None:
    known = template.resources.keys() | template.parameters.keys() | PSEUDO_PARAMETERS
    unresolved: list[str] = []
    for name, resource in template.resources.items():
        _check_condition(template, resource.condition, f"resource {name}")
        unresolved += [other for other in resource.depends_on if other not in template.resources]
        unresolved += _unresolved(template, resource.properties, known)
    if unresolved:
        names = ", ".join(dict.fromkeys(unresolved))
        raise validation_error(
            f"Template format error: Unresolved resource dependencies [{names}] in the Resources block of the template"
        )
    for name, condition in template.conditions.items():
        for reference in find_references(condition):
            if reference.logical_id in template.resources or reference.attribute is not None:
                raise validation_error(
                    f"Template format error: Unresolved dependencies [{reference.logical_id}]. Cannot reference"
                    " resources in the Conditions block of the template"
                )
            if reference.logical_id not in known:
                raise validation_error(
                    f"Template format error: Unresolved dependencies [{reference.logical_id}] in the Conditions block"
                    f" of the template: {name}"
                )


def _unresolved(template: Template, value: Any, known: set[str]) -> list[str]:
    unresolved = []
    for reference in find_references(value):
        if reference.condition is not None:
            _check_condition(template, reference.condition, "Fn::If")
        elif reference.attribute is not None and not reference.in_sub:
            if reference.logical_id not in template.resources:
                raise validation_error(
                    f"Template error: instance of Fn::GetAtt references undefined resource {reference.logical_id}"
                )
        elif reference.logical_id not in known:
            unresolved.append(reference.logical_id)
    return unresolved


def _check_condition(template: Template, condition: Any, where: str) -> None:
    if condition is not None and not isinstance(condition, str):
        raise validation_error("Template format error: Every Condition member must be a string.")
    if condition is not None and condition not in template.conditions:
        raise validation_error(f"Template format error: Unresolved condition dependency {condition} in {where}")


def _check_outputs(template: Template) -> None:
    known = template.resources.keys() | template.parameters.keys() | PSEUDO_PARAMETERS
    unresolved: list[str] = []
    for name, output in template.outputs.items():
        if "Value" not in output:
            raise validation_error(
                f"Template format error: [/Outputs/{name}] Every Outputs member must contain a Value object"
            )
        if unknown := sorted(output.keys() - {"Value", "Description", "Export", "Condition"}):
            raise validation_error(f"Template format error: Unrecognized member {unknown[0]} of output {name}")
        _check_condition(template, output.get("Condition"), f"output {name}")
        unresolved += _unresolved(template, [output["Value"], output.get("Export")], known)
    if unresolved:
        names = ", ".join(dict.fromkeys(unresolved))
        raise validation_error(
            f"Template format error: Unresolved resource dependencies [{names}] in the Outputs block of the template"
        )
