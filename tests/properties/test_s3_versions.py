"""Versions of objects, held against a naive list of what was done to each key."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.errors import ServiceError
from cumulet.scope import SYSTEM
from cumulet.store.keyspace import BLOB_REFS
from harness import House

pytestmark = pytest.mark.slow

KEYS = ("a", "a/b", "a/c", "b", "c\U0001f600")

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("versioning"), st.sampled_from(("Enabled", "Suspended"))),
        st.tuples(st.just("put"), st.sampled_from(KEYS)),
        st.tuples(st.just("delete"), st.sampled_from(KEYS)),
        st.tuples(st.just("delete version"), st.sampled_from(KEYS), st.integers(0, 4)),
    ),
    max_size=14,
)


class Oracle:
    """A key's versions, the newest first: (version id, body), the body of a delete marker being None."""

    def __init__(self) -> None:
        self.versioning = ""
        self.keys: dict[str, list[tuple[str, bytes | None]]] = {key: [] for key in KEYS}

    def add(self, key: str, version_id: str, body: bytes | None) -> None:
        kept = [one for one in self.keys[key] if self.versioning == "Enabled" or one[0] != "null"]
        self.keys[key] = [(version_id, body), *kept]

    def listed(self) -> list[tuple[str, str, bool, bool]]:
        return [
            (key, version_id, body is None, place == 0)
            for key in sorted(KEYS)
            for place, (version_id, body) in enumerate(self.keys[key])
        ]


async def perform(house: House, oracle: Oracle, number: int, step: tuple[Any, ...]) -> None:
    name, *rest = step
    if name == "versioning":
        oracle.versioning = rest[0]
        params = {"Bucket": "notes", "VersioningConfiguration": {"Status": rest[0]}}
        await house.call("s3", "PutBucketVersioning", params)
    elif name == "put":
        body = b"%d" % number
        output = await house.call("s3", "PutObject", {"Bucket": "notes", "Key": rest[0], "Body": body})
        assert ("VersionId" in output) == bool(oracle.versioning)
        oracle.add(rest[0], output.get("VersionId", "null"), body)
    elif name == "delete":
        output = await house.call("s3", "DeleteObject", {"Bucket": "notes", "Key": rest[0]})
        if oracle.versioning:
            assert output["DeleteMarker"]
            oracle.add(rest[0], output["VersionId"], None)
        else:
            oracle.keys[rest[0]] = []
    else:
        key, place = rest
        if place < len(oracle.keys[key]):
            version_id, _ = oracle.keys[key].pop(place)
            await house.call("s3", "DeleteObject", {"Bucket": "notes", "Key": key, "VersionId": version_id})


async def read(house: House, **params: str) -> Any:
    try:
        return (await house.call("s3", "GetObject", {"Bucket": "notes", **params}))["Body"]
    except ServiceError as error:
        return error.code


async def list_pages(house: House, limit: int, **params: str) -> list[list[Any]]:
    """Return entries of all pages, (key, version id, is a marker, is the latest), and common prefixes."""
    pages, markers = [], {}
    while True:
        page = await house.call("s3", "ListObjectVersions", {"Bucket": "notes", "MaxKeys": limit, **params, **markers})
        entries = [
            (entry["Key"], entry["VersionId"], is_marker, entry["IsLatest"])
            for member, is_marker in (("Versions", False), ("DeleteMarkers", True))
            for entry in page[member]
        ]
        prefixes = [entry["Prefix"] for entry in page["CommonPrefixes"]]
        assert len(entries) + len(prefixes) <= limit
        pages.append([*entries, *prefixes])
        if not page["IsTruncated"]:
            return pages
        markers = {"KeyMarker": page["NextKeyMarker"]}
        if "NextVersionIdMarker" in page:
            markers["VersionIdMarker"] = page["NextVersionIdMarker"]


@settings(deadline=None, max_examples=60)
@given(STEPS, st.integers(1, 4), st.sampled_from(("", "a", "a/", "b")))
def test_versions_are_what_was_done(steps: list[tuple[Any, ...]], limit: int, prefix: str) -> None:
    async def walk() -> None:
        house, oracle = House("s3"), Oracle()
        await house.call("s3", "CreateBucket", {"Bucket": "notes"})
        for number, step in enumerate(steps):
            await perform(house, oracle, number, step)
        for key, versions in oracle.keys.items():
            newest = versions[0][1] if versions else None
            assert await read(house, Key=key) == ("NoSuchKey" if newest is None else newest)
            for version_id, body in versions:
                assert await read(house, Key=key, VersionId=version_id) == (
                    "MethodNotAllowed" if body is None else body
                )
        current = (await house.call("s3", "ListObjectsV2", {"Bucket": "notes"}))["Contents"]
        assert [entry["Key"] for entry in current] == [
            key for key in sorted(KEYS) if oracle.keys[key] and oracle.keys[key][0][1] is not None
        ]
        wanted = [entry for entry in oracle.listed() if entry[0].startswith(prefix)]
        pages = await list_pages(house, limit, Prefix=prefix)
        assert sorted(entry for page in pages for entry in page) == sorted(wanted)
        keys = [sorted({entry[0] for entry in page}) for page in pages]
        assert [key for page in keys for key in page] == sorted(key for page in keys for key in page)
        rolled = [entry for page in await list_pages(house, limit, Delimiter="/") for entry in page]
        assert rolled.count("a/") == bool(oracle.keys["a/b"] or oracle.keys["a/c"])
        assert sorted(one for one in rolled if one != "a/") == sorted(
            one for one in oracle.listed() if "/" not in one[0]
        )
        # Emptied page by page, as scripts do it, a bucket can be deleted, and no body is left.
        while True:
            page = await house.call("s3", "ListObjectVersions", {"Bucket": "notes", "MaxKeys": limit})
            entries = [*page["Versions"], *page["DeleteMarkers"]]
            if not entries:
                break
            objects = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]
            await house.call("s3", "DeleteObjects", {"Bucket": "notes", "Delete": {"Objects": objects}})
        await house.call("s3", "DeleteBucket", {"Bucket": "notes"})
        assert await house.store.read(lambda tx: list(tx.scan(*BLOB_REFS.range(SYSTEM)))) == []

    asyncio.run(walk())


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 8), st.integers(1, 3))
def test_a_listing_goes_on_where_what_it_has_shown_was_removed(versions: int, limit: int) -> None:
    async def walk() -> None:
        house = House("s3")
        await house.call("s3", "CreateBucket", {"Bucket": "notes"})
        enabled = {"Bucket": "notes", "VersioningConfiguration": {"Status": "Enabled"}}
        await house.call("s3", "PutBucketVersioning", enabled)
        for _ in range(versions):
            await house.call("s3", "PutObject", {"Bucket": "notes", "Key": "k", "Body": b"x"})
        seen, markers = 0, {}
        while True:
            page = await house.call("s3", "ListObjectVersions", {"Bucket": "notes", "MaxKeys": limit, **markers})
            for entry in page["Versions"]:
                seen += 1
                await house.call("s3", "DeleteObject", {"Bucket": "notes", "Key": "k", "VersionId": entry["VersionId"]})
            if not page["IsTruncated"]:
                break
            markers = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
        assert seen == versions

    asyncio.run(walk())
