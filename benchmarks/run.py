"""`make bench`: what each path costs, as ratios measured side by side in one run.

The bare limit is an ASGI application under the same uvicorn that answers a fixed JSON body: what the front door costs
when nothing is done behind it. Every other figure is given as a share of it, or beside the limit it is held against.
Load comes from this process over raw sockets, on the same machine, so both sides share the processors.
"""

import argparse
import importlib.metadata
import os
import platform
import sys
from pathlib import Path

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from apis import show_apis
from growth import show_growth
from paths import show_paths
from stores import compare_stores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--durability", default="fsync", choices=("fsync", "os", "memory"))
    parser.add_argument(
        "--only", choices=("paths", "functions", "stores", "growth", "apis"), help="a part of the whole"
    )
    parser.add_argument("--items", type=int, default=100_000, help="how far the table grows")
    options = parser.parse_args()
    console = Console(width=110)
    console.print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, "
        f"uvicorn {importlib.metadata.version('uvicorn')}; durability {options.durability}; load from the same machine"
    )
    if options.only in (None, "paths", "functions"):
        show_paths(console, options.durability, only_functions=options.only == "functions")
    if options.only in (None, "stores"):
        console.print(compare_stores(options.durability))
    if options.only in (None, "apis"):
        for table in show_apis(options.durability):
            console.print(table)
    if options.only in (None, "growth"):
        console.print(show_growth(options.items, options.durability))


if __name__ == "__main__":
    main()
