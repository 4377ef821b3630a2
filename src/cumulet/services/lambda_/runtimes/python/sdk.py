"""Makes boto3 ready before the fork, so that a client in a new environment costs a few milliseconds.

A standalone module like its neighbours. Most of what a client's creation costs is botocore reading its own data: 3 MB
of JSON and a listing of 400 folders, the same in every environment. What the fork server has read once, its forks keep;
a fork that reads anything else reads it as botocore always does.
"""

# What is imported here is imported in every environment, and Python 3.9 must be able to read it.
# ruff: noqa: PTH112

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

PARTS_REMEMBERED = 1024


def warm_up() -> None:
    """Import boto3 and make a client that is never used: that imports another 60 modules and reads the data."""
    try:
        import boto3.session
        from botocore.loaders import JSONFileLoader, Loader
    except ImportError:
        return  # functions without an SDK run all the same
    remember_user_agents()
    files: dict[str, Any] = {}
    listings: dict[Any, Any] = {}
    load_file, list_services = JSONFileLoader.load_file, Loader.list_available_services

    def keep_file(self: Any, file_path: str) -> Any:
        if file_path not in files:
            files[file_path] = load_file(self, file_path)
        return files[file_path]

    def keep_listing(self: Any, type_name: str) -> Any:
        key = searched(self), type_name
        if key not in listings:
            listings[key] = list_services(self, type_name)
        return listings[key]

    def searched(loader: Any) -> tuple[str, ...]:
        # Folders that a user may have, as ~/.aws/models, count only where they are.
        return tuple(path for path in loader.search_paths if os.path.isdir(path))

    file_loader: Any = JSONFileLoader
    loader_class: Any = Loader
    file_loader.load_file, loader_class.list_available_services = keep_file, keep_listing
    client = boto3.session.Session().client(
        "dynamodb", region_name="us-east-1", aws_access_key_id="-", aws_secret_access_key="-"
    )
    client.close()

    def load_kept(self: Any, file_path: str) -> Any:
        return files[file_path] if file_path in files else load_file(self, file_path)

    def list_kept(self: Any, type_name: str) -> Any:
        key = searched(self), type_name
        return listings[key] if key in listings else list_services(self, type_name)

    file_loader.load_file, loader_class.list_available_services = load_kept, list_kept


def remember_user_agents() -> None:
    """Have botocore look at each part of its User-Agent once.

    Every call makes that header twice, from 36 parts, letter by letter, and nearly always the same: an eighth of what
    a GetItem costs inside a function.
    """
    from botocore import useragent

    parts: Any = useragent
    if clean := getattr(parts, "sanitize_user_agent_string_component", None):
        parts.sanitize_user_agent_string_component = lru_cache(maxsize=PARTS_REMEMBERED)(clean)
