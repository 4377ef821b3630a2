"""From the text of a policy to compiled statements; and IAM's words for a text that is none.

Three kinds of document differ in their grammar: an identity policy names no principal, a trust policy no resource, and
a resource's own policy needs a principal. Documents are compiled once per text, and are values: share them freely.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, NoReturn

from cumulet.errors import ServiceError
from cumulet.policy.conditions import BadCondition, Condition, Presence, compile_conditions
from cumulet.policy.matching import Context, NotTold, Test, any_action, any_of
from cumulet.policy.principals import Principals, compile_principals

DocumentKind = Literal["identity", "resource", "trust"]

CURRENT_VERSION: Final = "2012-10-17"
VERSIONS: Final = ("2012-10-17", "2008-10-17")
"""Only the current one has policy variables."""

DOCUMENT_KEYS: Final = frozenset({"Version", "Id", "Statement"})
STATEMENT_KEYS: Final = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
PRINCIPAL_KINDS: Final = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})
TRUST_ACTIONS: Final = frozenset(
    {
        "sts:assumerole",
        "sts:assumerolewithsaml",
        "sts:assumerolewithwebidentity",
        "sts:setsourceidentity",
        "sts:setcontext",
        "sts:tagsession",
    }
)
_SID: Final = re.compile(r"[0-9A-Za-z]*")
_VENDOR: Final = re.compile(r"[a-zA-Z0-9-]+")
_ACCOUNT: Final = re.compile(r"\d{12}")
_PARTITION: Final = re.compile(r"aws[a-z-]*|[*?]+|aws[*?]")

SYNTAX: Final = "Syntax errors in policy."


@dataclass(frozen=True, slots=True)
class Statement:
    """One compiled statement."""

    name: str
    """Its Sid, or its place in the document (from 0) if it has none."""
    allows: bool
    action: Callable[[str], bool]
    not_action: bool
    resource: Test | None
    """None in a trust policy: the role is the resource."""
    not_resource: bool
    principals: Principals | None
    conditions: tuple[Condition | Presence, ...]
    has_variables: bool
    """Whether its resources differ between requests."""

    def may_cover(self, action: str, resource: str) -> bool:
        """Tell whether there are circumstances in which the statement speaks of this action on this resource."""
        if self.action(action) is self.not_action:
            return False
        return self.has_variables or self.resource is None or self.resource(resource, {}) is not self.not_resource

    def covers(self, action: str, resource: str, context: Context) -> bool:
        """Tell whether the statement speaks of this action on this resource in these circumstances.

        What depends on a key that nobody has told counts against the caller: it denies, and does not allow.
        """
        if self.action(action) is self.not_action:
            return False
        told = True
        try:
            if self.resource is not None and self.resource(resource, context) is self.not_resource:
                return False
        except NotTold:
            told = False
        for condition in self.conditions:
            try:
                if not condition.holds(context):
                    return False
            except NotTold:
                told = False
        return told or not self.allows


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A compiled policy document. Each is only equal to itself, so that it costs nothing to look up by it."""

    statements: tuple[Statement, ...]
    version: str = CURRENT_VERSION


@lru_cache(maxsize=2048)
def parse_document(text: str, kind: DocumentKind = "identity") -> Document:
    """Return the compiled document. Raises ServiceError MalformedPolicyDocument with IAM's words."""
    element = _parse_json(text, kind)
    if not isinstance(element, dict) or not DOCUMENT_KEYS.issuperset(element):
        _refuse(SYNTAX)
    version = element.get("Version", VERSIONS[-1])
    if version not in VERSIONS:
        _refuse(SYNTAX)
    if not isinstance(element.get("Id", ""), str):
        _refuse(SYNTAX)
    statements = _as_sequence(element.get("Statement"))
    if not statements:
        _refuse(SYNTAX)
    for statement in statements:
        _check_statement(statement, kind)
    sids = [statement["Sid"] for statement in statements if statement.get("Sid")]
    if len(sids) != len(set(sids)):
        _refuse("Statement IDs (SID) in a single policy must be unique.")
    compiled = tuple(
        _compile_statement(statement, str(place), version == CURRENT_VERSION)
        for place, statement in enumerate(statements)
    )
    return Document(compiled, version)


def _parse_json(text: str, kind: DocumentKind) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        # CreateRole words it differently from PutRolePolicy.
        _refuse("This policy contains invalid Json" if kind == "trust" else SYNTAX)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse(SYNTAX)
    return found


def _check_statement(statement: Any, kind: DocumentKind) -> None:
    if not isinstance(statement, dict) or not STATEMENT_KEYS.issuperset(statement):
        _refuse(SYNTAX)
    sid = statement.get("Sid", "")
    if not isinstance(sid, str):
        _refuse(SYNTAX)
    if kind == "identity" and not _SID.fullmatch(sid):
        _refuse(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
            "[0-9A-Za-z]*"
        )
    for pair in (("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal")):
        if pair[0] in statement and pair[1] in statement:
            _refuse(SYNTAX)
    if statement.get("Effect") not in ("Allow", "Deny"):
        missing = kind == "trust" and "Effect" not in statement
        _refuse("Missing required field Effect" if missing else SYNTAX)
    _check_principal(statement, kind)
    _check_actions(_texts(statement, "Action", "NotAction"), kind)
    _check_resources(_texts(statement, "Resource", "NotResource"), kind)
    _check_condition(statement.get("Condition", {}))


def _check_principal(statement: Mapping[str, Any], kind: DocumentKind) -> None:
    element = statement.get("Principal", statement.get("NotPrincipal"))
    if kind == "identity":
        if element is not None:
            _refuse("Policy document should not specify a principal.")
        return
    if element is None:
        _refuse("Missing required field Principal")
    if kind == "trust" and "NotPrincipal" in statement and statement["Effect"] == "Allow":
        _refuse("Allow with NotPrincipal is not allowed.")
    if element == "*":
        return
    if not isinstance(element, dict) or not element:
        _refuse(f"Invalid principal in policy: {json.dumps(element)}")
    for provider, names in element.items():
        for name in names if isinstance(names, list) else [names]:
            if provider not in PRINCIPAL_KINDS or not isinstance(name, str) or not _is_principal(provider, name):
                _refuse(f'Invalid principal in policy: "{provider.upper()}":{json.dumps(name)}')


def _is_principal(provider: str, name: str) -> bool:
    if provider == "AWS":
        parts = name.split(":", 5)
        is_arn = len(parts) == 6 and parts[0] == "arn" and parts[2] in ("iam", "sts") and bool(parts[5])
        return name == "*" or bool(_ACCOUNT.fullmatch(name)) or (is_arn and bool(_ACCOUNT.fullmatch(parts[4])))
    if provider == "Service":
        return "." in name and " " not in name
    return bool(name)


def _check_actions(actions: Sequence[str] | None, kind: DocumentKind) -> None:
    if not actions:
        _refuse("Policy statement must contain actions." if kind == "identity" else "Missing required field Action")
    for action in actions:
        if action == "*" or action.startswith("*:"):
            continue
        vendor, colon, name = action.partition(":")
        if not colon:
            _refuse("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
        if ":" in name:
            _refuse("Actions/Condition can contain only one colon.")
        if not _VENDOR.fullmatch(vendor):
            _refuse(f"Vendor {vendor} is not valid")
    if kind == "trust" and any(not _is_trust_action(action) for action in actions):
        _refuse("AssumeRole policy may only specify STS AssumeRole actions.")


def _is_trust_action(action: str) -> bool:
    return action.lower() in TRUST_ACTIONS or (action.lower().startswith("sts:") and "*" in action)


def _check_resources(resources: Sequence[str] | None, kind: DocumentKind) -> None:
    if kind == "trust":
        if resources is not None:
            _refuse("Has prohibited field Resource")
        return
    if not resources:
        # A resource's own policy may leave it out: the resource is known.
        if kind == "identity":
            _refuse("Policy statement must contain resources.")
        return
    if kind == "resource":
        return
    for resource in resources:
        if resource in ("*", ""):
            if not resource:
                _refuse('Resource  must be in ARN format or "*".')
            continue
        parts = resource.split(":")
        if parts[0] != "arn" or len(parts) < 2:
            _refuse(f'Resource {resource} must be in ARN format or "*".')
        if not _PARTITION.fullmatch(parts[1]):
            _refuse(f'Partition "{parts[1]}" is not valid for resource "{resource}".')
        if len(parts) > 2 and re.search(r"[*?]", parts[2]) and resource != "arn:aws:*":
            _refuse("Resource vendor must be fully qualified and cannot contain regexes.")


def _check_condition(element: Any) -> None:
    if not isinstance(element, dict):
        _refuse(SYNTAX)
    for keys in element.values():
        if not isinstance(keys, dict):
            _refuse(SYNTAX)
        for values in keys.values():
            for value in values if isinstance(values, list) else [values]:
                if not isinstance(value, (str, int, float, bool)):
                    _refuse(SYNTAX)
    try:
        compile_conditions(element, variables=True)
    except BadCondition:
        _refuse(SYNTAX)


def _compile_statement(statement: Mapping[str, Any], place: str, variables: bool) -> Statement:
    resources = _texts(statement, "Resource", "NotResource")
    named = statement.get("Principal", statement.get("NotPrincipal"))
    return Statement(
        name=statement.get("Sid") or place,
        allows=statement["Effect"] == "Allow",
        action=any_action(_texts(statement, "Action", "NotAction") or []),
        not_action="NotAction" in statement,
        resource=None if resources is None else any_of(resources, "arn", variables=variables),
        not_resource="NotResource" in statement,
        principals=None if named is None else compile_principals(named, negated="NotPrincipal" in statement),
        conditions=compile_conditions(statement.get("Condition", {}), variables=variables),
        has_variables=variables and any("${" in text for text in resources or ()),
    )


def _texts(statement: Mapping[str, Any], *names: str) -> list[str] | None:
    """Return the strings of the first of these elements that is there."""
    for name in names:
        if name in statement:
            values = _as_sequence(statement[name])
            if not all(isinstance(value, str) for value in values):
                _refuse(SYNTAX)
            return values
    return None


def _as_sequence(element: Any) -> list[Any]:
    if element is None:
        return []
    return element if isinstance(element, list) else [element]


def _refuse(words: str) -> NoReturn:
    # JSON can escape half a character, which no answer could hold.
    raise ServiceError("MalformedPolicyDocument", words.encode(errors="replace").decode(), status=400)
