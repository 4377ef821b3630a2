"""The route table against a naive reference, and the round trips of what events carry."""

from urllib.parse import quote, unquote, urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.apigateway.pipeline import events
from cumulet.services.apigateway.pipeline.paths import encoded_parameters
from cumulet.services.apigateway.pipeline.routes import RouteTable, is_greedy, is_variable, split_path

LITERALS = st.sampled_from(["a", "b", "c"])
SEGMENTS = st.one_of(LITERALS, st.sampled_from(["{x}", "{y}"]))
METHODS = st.sampled_from(["GET", "POST", "ANY"])


@st.composite
def templates(draw: st.DrawFn) -> str:
    segments = draw(st.lists(SEGMENTS, max_size=3))
    # One name per position, since a path may not use a variable's name twice.
    named = [f"{{v{at}}}" if is_variable(segment) else segment for at, segment in enumerate(segments)]
    if draw(st.booleans()):
        named.append("{rest+}")
    return "/" + "/".join(named)


ROUTES = st.dictionaries(st.tuples(METHODS, templates()), st.none(), max_size=8).map(list)
REQUESTS = st.tuples(
    st.sampled_from(["GET", "POST", "PUT"]), st.lists(st.sampled_from(["a", "b", "z", ""]), max_size=4)
)


def captured(template: str, segments: list[str]) -> dict[str, str] | None:
    """Return what a template captures of a path, or None if it does not match."""
    parts, found = split_path(template), dict[str, str]()
    for at, part in enumerate(parts):
        if is_greedy(part):
            rest = "/".join(segments[at:])
            return {**found, part[1:-2]: rest} if rest else None
        if at >= len(segments):
            return None
        if is_variable(part):
            if not segments[at]:
                return None
            found[part[1:-1]] = segments[at]
        elif part != segments[at]:
            return None
    return found if len(parts) == len(segments) else None


def rank(method: str, template: str, full_match_first: bool) -> tuple[object, ...]:
    """Return a key by which better routes sort first."""
    parts = split_path(template)
    specific = [2 if is_greedy(part) else 1 if is_variable(part) else 0 for part in parts]
    return (full_match_first and 2 in specific, specific, method == "ANY")


@settings(max_examples=400, deadline=None)
@given(routes=ROUTES, request=REQUESTS, full_match_first=st.booleans())
def test_the_table_finds_what_a_search_through_all_routes_finds(
    routes: list[tuple[str, str]], request: tuple[str, list[str]], full_match_first: bool
) -> None:
    method, segments = request
    matching = [
        (rank(declared, template, full_match_first), declared, template, found)
        for declared, template in routes
        if declared in (method, "ANY") and (found := captured(template, segments)) is not None
    ]
    table = RouteTable(
        ((declared, template, (declared, template)) for declared, template in routes), full_match_first=full_match_first
    )

    found = table.find(method, segments)

    if not matching:
        assert found is None
    else:
        assert found is not None
        _, declared, template, parameters = min(matching, key=lambda match: match[0])
        assert (found.value, found.path_parameters) == ((declared, template), parameters)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1, max_size=5), st.text(max_size=5)), max_size=5))
def test_a_query_string_gives_back_its_values(pairs: list[tuple[str, str]]) -> None:
    fields = events.query_fields(urlencode(pairs))
    assert [(name, value) for name, values in fields.items() for value in values] == sorted(
        pairs, key=lambda pair: [name for name, _ in pairs].index(pair[0])
    )


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10))
def test_a_percent_encoded_segment_is_one_parameter(value: str) -> None:
    segments = [unquote(segment) for segment in split_path(f"/notes/{quote(value, safe='')}")]
    found = RouteTable([("GET", "/notes/{id}", 1)], full_match_first=False).find("GET", segments)
    assert found is not None
    assert found.path_parameters == {"id": value}


def test_neither_deep_routes_nor_long_paths_need_recursion() -> None:
    deep = "/" + "/".join(f"{{v{n}}}" for n in range(5_000))
    table = RouteTable([("GET", deep, 1)], full_match_first=True)
    assert table.find("GET", ["x"] * 5_000) is not None
    assert table.find("GET", ["x"] * 100_000) is None


SENT = st.text("ab/%+. é", min_size=1, max_size=6)


@given(
    st.lists(st.sampled_from(["lit", "{v}"]), min_size=1, max_size=4),
    st.booleans(),
    st.lists(SENT, min_size=8, max_size=8),
)
@settings(deadline=None, max_examples=200)
def test_what_events_show_of_a_rest_path_is_what_routes_found_but_encoded(
    parts: list[str], greedy: bool, values: list[str]
) -> None:
    """Parameters as they came, once decoded, are those that the route table gives."""
    named = [part if part == "lit" else f"{{v{at}}}" for at, part in enumerate(parts)]
    template = "/" + "/".join([*named, *(["{rest+}"] if greedy else [])])
    encoded = [quote(value, safe="") for value in values]
    sent = [part if part == "lit" else encoded[at] for at, part in enumerate(parts)] + (encoded[4:7] if greedy else [])
    path = "/" + "/".join(sent)

    table = RouteTable([("GET", template, template)], full_match_first=False)
    found = table.find("GET", [unquote(segment) for segment in split_path(path)])
    assert found is not None
    for given_path in (path, f"{path}/"):
        shown = encoded_parameters(template, given_path)
        assert {name: unquote(value) for name, value in shown.items()} == found.path_parameters
