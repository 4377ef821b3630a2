"""JSONPaths: what the library that API Gateway uses finds, and how much strangers' paths may look at."""

from typing import Any

import pytest

from cumulet.errors import NotImplementedHere
from cumulet.services.apigateway.mapping import jsonpath
from cumulet.services.apigateway.mapping.effort import TemplateError

# The example of the library's own documentation.
BOOKS = [
    {"category": "reference", "author": "Nigel Rees", "title": "Sayings of the Century", "price": 8.95},
    {"category": "fiction", "author": "Evelyn Waugh", "title": "Sword of Honour", "price": 12.99},
    {"category": "fiction", "author": "Herman Melville", "title": "Moby Dick", "isbn": "0-553-21311-3", "price": 8.99},
    {"category": "fiction", "author": "J. R. R. Tolkien", "title": "LotR", "isbn": "0-395-19395-8", "price": 22.99},
]
BICYCLE = {"color": "red", "price": 19.95}
STORE: dict[str, Any] = {"store": {"book": BOOKS, "bicycle": BICYCLE}, "expensive": 10}
MORE: dict[str, Any] = {
    "list": [1, 2, 3, "4", True, None, [5], {"n": 6}],
    "tags": [{"t": ["a", "b"]}, {"t": []}, {"t": "ab"}, {"x": None}],
    "größe": 7,
    "a-b": {"c d": {"e.f": 8}},
    "q]": 9,
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", STORE),
        ("$.store.bicycle.color", "red"),
        ("store.bicycle.color", "red"),
        ("$['store']['bicycle']['color']", "red"),
        ("$.store.nothing", None),
        ("$.store.book[*].author", [book["author"] for book in BOOKS]),
        ("$..author", [book["author"] for book in BOOKS]),
        ("$.store.*", [BOOKS, BICYCLE]),
        ("$..price", [*[book["price"] for book in BOOKS], BICYCLE["price"]]),
        ("$..book[2]", [BOOKS[2]]),
        ("$.store.book[2].title", "Moby Dick"),
        ("$..book[-2]", [BOOKS[2]]),
        ("$..book[0,1]", BOOKS[:2]),
        ("$..book[:2]", BOOKS[:2]),
        ("$..book[1:2]", BOOKS[1:2]),
        ("$..book[-2:]", BOOKS[-2:]),
        ("$..book[?(@.isbn)]", BOOKS[2:]),
        ("$.store.book[?(@.price < 10)]", [BOOKS[0], BOOKS[2]]),
        ("$..book[?(@.price <= $['expensive'])].title", ["Sayings of the Century", "Moby Dick"]),
        ("$..book[?(@.author =~ /.*REES/i)]", [BOOKS[0]]),
        ("$..book[?(@.author =~ /Rees/)]", []),
        ("$..book.length()", [4]),
        ("$.store.book.length()", 4),
        ("$.store.bicycle.length()", 2),
        ("$.expensive.length()", None),
        ("$.store.book[?(@.category == 'fiction' && @.price < 10 || @.title == 'LotR')].price", [8.99, 22.99]),
        ("$.store.book[?(!(@.category == 'fiction') && !@.isbn)].price", [8.95]),
        ("$.store.book[?(@.category in ['reference', 'other'])].price", [8.95]),
        ("$.store.book[?(@.category nin ['fiction'])].price", [8.95]),
        ("$.store.book[?('fiction' == @.category)].price", [12.99, 8.99, 22.99]),
        ("$.store.book[?(@.isbn != 'x')].price", [8.95, 12.99, 8.99, 22.99]),
        ("$.store.book[?(@.price > '8')].price", []),
        ("$.store.bicycle[?(@.color == 'red')].price", [19.95]),
        ("$..[?(@.color)]", [BICYCLE]),
        ("$.store.book[0]['title','price']", {"title": "Sayings of the Century", "price": 8.95}),
        ("$.store['book','bicycle'].color", ["red"]),
    ],
)
def test_what_a_path_finds(path: str, found: Any) -> None:
    assert jsonpath.find(path, STORE) == found


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.list[?(@ > 1)]", [2, 3]),
        ("$.list[?(@ == 4)]", ["4"]),
        ("$.list[?(@ == '2')]", [2]),
        ("$.list[?(@ == true)]", [True]),
        ("$.list[?(@ == null)]", [None]),
        ("$.list[?(@ == 1)]", [1]),
        ("$.list[?(@.n)].n", [6]),
        ("$.tags[?(@.t size 2)].t", [["a", "b"], "ab"]),
        ("$.tags[?(@.t empty true)]", [{"t": []}]),
        ("$.tags[?(@.x == null)]", [{"x": None}]),
        ("$.tags[?('a' in @.t)].t", [["a", "b"]]),
        ("$.tags[?(@.t[0] == 'a')].t[1]", ["b"]),
        ("$.tags[?(@.t[?(@ == 'b')])]", [{"t": ["a", "b"]}]),
        ("$.größe", 7),
        ("$.a-b['c d'][\"e.f\"]", 8),
        ("$['q]']", 9),
        ("$.list[99]", None),
        ("$.list.n", None),
    ],
)
def test_what_a_filter_compares(path: str, found: Any) -> None:
    assert jsonpath.find(path, MORE) == found


@pytest.mark.parametrize(
    "path",
    [
        *(
            "$[",
            "$.",
            "$..",
            "$[?(",
            "$[?(@.a",
            "$[?(@.a)",
            "$[?(@.a ==)]",
            "$[?(1)]",
            "$[?(@.a == 'x)]",
            "$['a",
            "$[a]",
        ),
        *(
            "$[?()]",
            "$[?(@ =~ /(/)]",
            "$[?(@ in [[1]])]",
            "$[1,]",
            "$.a b",
            "$[?(@ == 1e)]",
            "$[9999999999999999999]",
            "$)",
        ),
        *("$" + "[?(@" * 50, "$[?(" + "(" * 5_000, "$[?(" + "!" * 100_000, "$" + ".a" * 100),
    ],
)
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(TemplateError):
        jsonpath.find(path, STORE)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("$.list.sum()", "The function sum() of a JSONPath"),
        ("$[?(@.a subsetof [1])]", "The operator subsetof of a JSONPath"),
        ("$[?(@ =~ /a/x)]", "The flags x of a regular expression in a JSONPath"),
        ("$[?(@ =~ /(?=a)/)]", "A regular expression with look-around or back-references"),
    ],
)
def test_what_is_not_here_is_refused_by_name(path: str, words: str) -> None:
    with pytest.raises(NotImplementedHere, match=words.replace("(", r"\(").replace(")", r"\)")):
        jsonpath.find(path, MORE)


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"a": [value, value]} if depth < 12 else {"a": value}
    return value


def in_lists(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$..[?(@..[?(@..b)])]", nested(200)),
        ("$..*..*..*", nested(10)),
        ("$[?($[?($[?(@ < 0)])])]", list(range(1_000))),
        ("$..a..a..a", nested(200)),
        ("$" + "[0,0]" * 30, in_lists(30)),
        ("$.items[?(@ in $.known)]", {"items": ["a"] * 2_000, "known": ["b"] * 2_000}),
        ("$.items[?($.text =~ /a*b/)]", {"items": [1] * 200, "text": "a" * 1_000_000}),
    ],
)
def test_a_path_looks_at_so_much_and_no_more(path: str, value: Any) -> None:
    with pytest.raises(TemplateError, match="A JSONPath finds too much"):
        jsonpath.find(path, value)


def test_a_list_held_against_each_item_of_another_may_be_as_long_as_usual() -> None:
    value = {"items": [*range(600)], "known": [*range(500, 1_500)]}
    assert jsonpath.find("$.items[?(@ in $.known)]", value) == [*range(500, 600)]


def test_what_is_long_but_not_deep_is_looked_at_whole() -> None:
    assert len(jsonpath.find("$.a[*].b", {"a": [{"b": 1}] * 300_000})) == 300_000


def test_a_pattern_in_a_filter_takes_no_longer_than_its_text_is_long() -> None:
    assert jsonpath.find("$[?(@ =~ /(a+)+/)]", ["a" * 50_000, "a" * 50_000 + "b"]) == ["a" * 50_000]
