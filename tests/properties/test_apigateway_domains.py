"""Requests to custom domain names against a naive reading of the guide: the longest key that the path begins with."""

from urllib.parse import quote, unquote

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.apigateway.domains import ApiMapping, Configuration, Domain, Mapped, find_mapped, save
from cumulet.store.memory import MemoryStore

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

    found = await store.read(lambda tx: find_mapped(tx, "api.example.com", path))

    wanted = naive(domain_keys, path)
    if wanted is None:
        assert found == "unmapped"
    else:
        assert isinstance(found, Mapped)
        assert (found.api_id, found.path) == (f"api-{wanted[0]}", wanted[1])
