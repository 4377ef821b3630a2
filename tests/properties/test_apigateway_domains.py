"""Requests to custom domain names against a naive reading of the guide: the first rule that holds, and the longest key
that the path begins with."""

import re
from urllib.parse import quote, unquote

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.apigateway.domains import Configuration, Domain, Mapped, find_mapped, save
from cumulet.services.apigateway.routing import ApiMapping, Condition, Routes, RoutingRule
from cumulet.store.memory import MemoryStore
from cumulet.wire.message import Headers, Request

segments = st.sampled_from(["a", "b", "ab", "$x", "a.b"])
keys = st.lists(segments, max_size=3).map("/".join)
paths = st.lists(st.sampled_from(["a", "b", "ab", "$x", "a.b", "", "%61", "a%2Fb", "%24x"]), max_size=5).map(
    lambda parts: "/" + "/".join(parts)
)


def naive(domain_keys: set[str], path: str) -> tuple[str, str] | None:
    """Return the key and what follows it, still encoded, or None if no key is for the path."""
    best = None
    raw = path.split("/")[1:]
    for key in domain_keys:
        parts = [part for part in key.split("/") if part]
        # A slash that is encoded is none between segments; a key has no such thing.
        begins = [quote(unquote(segment), safe="") for segment in raw[: len(parts)]]
        if begins == [quote(part, safe="") for part in parts] and (best is None or len(key) > len(best[0])):
            best = key, "/" + "/".join(raw[len(parts) :])
    return best


@settings(deadline=None, max_examples=200)
@given(st.sets(keys, max_size=6), paths)
async def test_the_longest_key_that_covers_a_path_is_taken(domain_keys: set[str], path: str) -> None:
    store = MemoryStore()
    mappings = tuple([ApiMapping(f"id-{key}", f"api-{key}", key, "dev") for key in sorted(domain_keys)])
    served = Configuration("REGIONAL", "arn", "d-x", 0)
    domain = Domain("api.example.com", "000000000000", "us-east-1", 0, (served,), mappings)
    await store.write(lambda tx: save(tx, domain))

    found = await store.read(lambda tx: find_mapped(tx, "api.example.com", Request("GET", path, "", Headers())))

    wanted = naive(domain_keys, path)
    if wanted is None:
        assert found == "unmapped"
    else:
        assert isinstance(found, Mapped)
        assert (found.api_id, found.path) == (f"api-{wanted[0]}", wanted[1])


globs = st.sampled_from(["a", "ab", "a*", "*a", "*b*", "*", "A", "?", "a.b", "*.*"])
conditions = st.one_of(
    st.builds(lambda key: Condition(base_path=key), keys.filter(bool)),
    st.builds(lambda name, glob: Condition(header=name, value_glob=glob), st.sampled_from(["X", "y"]), globs),
)
rules = st.lists(
    st.tuples(st.integers(1, 9), st.lists(conditions, max_size=3), st.booleans()),
    max_size=5,
    unique_by=lambda rule: rule[0],
)
headers = st.lists(
    st.tuples(st.sampled_from(["x", "Y"]), st.sampled_from(["a", "ab", "ba", "A", "a.b", "?", ""])), max_size=3
)


def holds(condition: Condition, path: list[str], sent: list[tuple[str, str]]) -> bool:
    if condition.base_path:
        return ("/".join(path) + "/").startswith(condition.base_path + "/")
    pattern = ".*".join(re.escape(part) for part in condition.value_glob.split("*"))
    values = [value for name, value in sent if name.lower() == condition.header.lower()]
    return any(re.fullmatch(pattern, value) for value in values)


@settings(deadline=None, max_examples=200)
@given(rules, st.lists(segments, max_size=4), headers)
def test_the_first_rule_that_holds_is_taken(
    given_rules: list[tuple[int, list[Condition], bool]], path: list[str], sent: list[tuple[str, str]]
) -> None:
    made = [
        RoutingRule(f"r{number}", number, "api", "dev", tuple(asked), strip) for number, asked, strip in given_rules
    ]
    request = Request("GET", "/" + "/".join(path), "", Headers(sent))

    found = Routes("ROUTING_RULE_ONLY", made, []).find_rule(request, path)

    held = [rule for rule in made if all(holds(one, path, sent) for one in rule.conditions)]
    first = min(held, key=lambda rule: rule.priority, default=None)
    assert (None if found is None else found[0]) == first
    assert Routes("API_MAPPING_ONLY", made, []).find_rule(request, path) is None
