"""Routing rules of custom domain names, which send requests to REST APIs by headers and base paths.

AWS's documentation has the restrictions, not the words in which it refuses what goes beyond them; those are ours.
https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-routing-rules.html
"""

import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.apigateway import domains, limits
from cumulet.services.apigateway.control.domains import check_base_path, get_domain, get_target
from cumulet.services.apigateway.control.listing import scanning
from cumulet.services.apigateway.control.v2.paging import page
from cumulet.services.apigateway.domains import Domain
from cumulet.services.apigateway.pipeline.parameters import RESERVED, RESERVED_PREFIXES
from cumulet.services.apigateway.routing import WILDCARD, Condition, RoutingRule
from cumulet.services.kit import Call, ConditionValues, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

_PRIVATE = "private domain names"

_HEADER = re.compile(r"[A-Za-z0-9?!#$%&'.^_`|~-]+")
# The guide allows in values what it allows in names; but its own examples have image/webp and ux=beta, too.
_VALUE = re.compile(r"[\x21-\x7e]+")
_UNSUPPORTED = RESERVED | {"x-apigw-api-id", "x-restapi"}
_HEADER_CONDITIONS_MAX = 2


def arn_of(scope: Scope, domain_name: str, rule_id: str) -> str:
    """Return the ARN of a rule; unlike other ARNs of API Gateway's it names the account."""
    return f"arn:aws:apigateway:{scope.region}:{scope.account}:/domainnames/{domain_name}/routingrules/{rule_id}"


def _any_rule(call: Call, params: Params) -> str:
    return arn_of(call.scope, params["DomainName"].lower(), params.get("RoutingRuleId", "*"))


def _asked(call: Call, params: Params) -> ConditionValues:
    """Return what a request says of a rule.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagementv2.html
    """
    given = [(one.get("MatchBasePaths") or {}).get("AnyOf") or () for one in params["Conditions"]]
    paths = [path for one in given for path in one]
    return {"apigateway:Request/Priority": str(params["Priority"])} | (
        {"apigateway:Request/ConditionBasePaths": paths} if paths else {}
    )


def _kept(tx: ReadTx, call: Call, params: Params) -> ConditionValues:
    """Return what is known of the rule itself."""
    domain = domains.find_in_region(tx, params["DomainName"].lower(), call.scope.region)
    rules = domain.rules if domain is not None and domain.scope == call.scope else ()
    rule = next((one for one in rules if one.rule_id == params["RoutingRuleId"]), None)
    if rule is None:
        return {}
    paths = [one.base_path for one in rule.conditions if one.base_path]
    return {"apigateway:Resource/Priority": str(rule.priority)} | (
        {"apigateway:Resource/ConditionBasePaths": paths} if paths else {}
    )


def _asked_and_kept(tx: ReadTx, call: Call, params: Params) -> ConditionValues:
    return {**_asked(call, params), **_kept(tx, call, params)}


@operation(
    "CreateRoutingRule",
    resource=_any_rule,
    conditions=_asked,
    params="DomainName Priority Conditions Actions",
    missing=_PRIVATE,
)
def create_routing_rule(call: Call, tx: WriteTx, params: Params) -> Output:
    """Requests for which the conditions hold, and no rule of a lower priority number, are for the stage."""
    domain = get_domain(tx, call, params["DomainName"])
    if domain.routing_mode == "API_MAPPING_ONLY":
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/set-routing-mode.html
        raise _bad("Routing rules cannot be created for a domain name with the routing mode API_MAPPING_ONLY")
    if len(domain.rules) >= limits.ROUTING_RULES_PER_DOMAIN_MAX:
        raise ServiceError("TooManyRequestsException", "Maximum number of routing rules has been reached.")
    rule = _make_rule(call, tx, domain, call.ids.token(6), params)
    domains.save(tx, replace(domain, rules=(*domain.rules, rule)))
    return show(domain, rule)


@operation(
    "PutRoutingRule",
    action="apigateway:UpdateRoutingRule",
    resource=_any_rule,
    conditions=_asked_and_kept,
    params="DomainName RoutingRuleId Priority Conditions Actions",
    missing=_PRIVATE,
)
def put_routing_rule(call: Call, tx: WriteTx, params: Params) -> Output:
    """The rule of that id is another."""
    domain, before = _rule(tx, call, params)
    rule = _make_rule(call, tx, domain, before.rule_id, params)
    changed = [rule if one.rule_id == rule.rule_id else one for one in domain.rules]
    domains.save(tx, replace(domain, rules=tuple(changed)))
    return show(domain, rule)


@operation(
    "GetRoutingRule",
    resource=_any_rule,
    conditions=_kept,
    params="DomainName RoutingRuleId",
    missing=_PRIVATE,
)
def get_routing_rule(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one rule of a domain name."""
    return show(*_rule(tx, call, params))


@operation(
    "ListRoutingRules",
    resource=_any_rule,
    params="DomainName MaxResults NextToken",
    missing=_PRIVATE,
)
def list_routing_rules(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the rules of a domain name, in the order in which they are asked."""
    domain = get_domain(tx, call, params["DomainName"])
    output = page(params, scanning(domain.rules, _order), _order, lambda rule: show(domain, rule))
    output["RoutingRules"] = output.pop("Items")
    return output


@operation(
    "DeleteRoutingRule",
    resource=_any_rule,
    conditions=_kept,
    params="DomainName RoutingRuleId",
    missing=_PRIVATE,
)
def delete_routing_rule(call: Call, tx: WriteTx, params: Params) -> Output:
    """The rule is gone."""
    domain, rule = _rule(tx, call, params)
    domains.save(tx, replace(domain, rules=tuple([one for one in domain.rules if one is not rule])))
    return {}


def _rule(tx: ReadTx, call: Call, params: Params) -> tuple[Domain, RoutingRule]:
    domain = get_domain(tx, call, params["DomainName"])
    found = next((rule for rule in domain.rules if rule.rule_id == params["RoutingRuleId"]), None)
    if found is None:
        raise ServiceError("NotFoundException", "Invalid routing rule identifier specified")
    return domain, found


def _make_rule(call: Call, tx: ReadTx, domain: Domain, rule_id: str, given: Params) -> RoutingRule:
    if len(given["Actions"]) != 1:
        raise _bad("A routing rule must have exactly one action")
    invoke = given["Actions"][0]["InvokeApi"]
    rule = RoutingRule(
        rule_id,
        given["Priority"],
        invoke["ApiId"],
        invoke["Stage"],
        tuple([_make_condition(one) for one in given["Conditions"]]),
        invoke.get("StripBasePath") or False,
    )
    headers = sum(1 for one in rule.conditions if one.header)
    if headers > _HEADER_CONDITIONS_MAX:
        raise _bad(f"A routing rule can have at most {_HEADER_CONDITIONS_MAX} matchHeaders conditions")
    if len(rule.conditions) - headers > 1:
        raise _bad("A routing rule can have at most one matchBasePaths condition")
    if any(other.priority == rule.priority and other.rule_id != rule_id for other in domain.rules):
        raise ServiceError(
            "ConflictException", f"A routing rule with priority {rule.priority} already exists for this domain name"
        )
    if get_target(call, tx, rule.api_id, rule.stage).kind != "REST":
        raise _bad("Only REST APIs are supported as targets of routing rules")
    return rule


def _make_condition(given: Mapping[str, Any]) -> Condition:
    paths, headers = given.get("MatchBasePaths"), given.get("MatchHeaders")
    if (paths is None) == (headers is None):
        raise _bad("A condition must have exactly one of matchBasePaths and matchHeaders")
    values = (paths if paths is not None else headers or {})["AnyOf"]
    if len(values) != 1:
        raise _bad("The anyOf of a condition must have exactly one value")
    if paths is not None:
        return Condition(base_path=_checked_path(values[0]))
    return Condition(header=_checked_header(values[0]["Header"]), value_glob=_checked_glob(values[0]["ValueGlob"]))


def _checked_path(path: str) -> str:
    if not path or len(path) > limits.RULE_BASE_PATH_CHARS_MAX:
        raise _bad("The base path of a condition must have at least 1 and less than 128 characters")
    return check_base_path(path, "A base path")


def _checked_header(name: str) -> str:
    if not name or len(name) > limits.RULE_HEADER_CHARS_MAX:
        raise _bad("The header name of a condition must have at least 1 and less than 40 characters")
    if not _HEADER.fullmatch(name):
        raise _bad(f"Invalid header name specified: {name}. Wildcards are for header values only")
    if name.lower() in _UNSUPPORTED or name.lower().startswith(RESERVED_PREFIXES):
        raise _bad(f"The header {name} is not supported in a condition")
    return name


def _checked_glob(glob: str) -> str:
    if not glob or len(glob) > limits.RULE_VALUE_CHARS_MAX:
        raise _bad("The header value of a condition must have at least 1 and less than 128 characters")
    inner = glob.removeprefix(WILDCARD).removesuffix(WILDCARD)
    if not _VALUE.fullmatch(glob) or WILDCARD in inner or (not inner and glob != WILDCARD):
        raise _bad(f"Invalid header value specified: {glob}. A wildcard can only stand at its beginning and at its end")
    if glob.startswith(WILDCARD) and glob.endswith(WILDCARD) and len(glob) > limits.RULE_INFIX_CHARS_MAX:
        raise _bad("The header value of an infix match must have less than 40 characters")
    return glob


def _order(rule: RoutingRule) -> str:
    return f"{rule.priority:07}"


def show(domain: Domain, rule: RoutingRule) -> dict[str, Any]:
    """Return a rule as AWS shows it."""
    return {
        "Actions": [
            {"InvokeApi": {"ApiId": rule.api_id, "Stage": rule.stage, "StripBasePath": rule.strip_base_path}},
        ],
        "Conditions": [_show_condition(one) for one in rule.conditions],
        "Priority": rule.priority,
        "RoutingRuleArn": arn_of(domain.scope, domain.name, rule.rule_id),
        "RoutingRuleId": rule.rule_id,
    }


def _show_condition(condition: Condition) -> dict[str, Any]:
    if condition.header:
        return {"MatchHeaders": {"AnyOf": [{"Header": condition.header, "ValueGlob": condition.value_glob}]}}
    return {"MatchBasePaths": {"AnyOf": [condition.base_path]}}


def _bad(words: str) -> ServiceError:
    return ServiceError("BadRequestException", words)
