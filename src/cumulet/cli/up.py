"""`cumulet up`: start the server in the foreground and say how to reach it."""

import asyncio
import gc
import logging
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

from cumulet.cli.console import CliError, err, out
from cumulet.settings import DEFAULT_PORT, Settings, SettingsError, make_settings


def run_server(**flags: Any) -> int:
    """Serve until a signal comes; return the exit status."""
    began = time.perf_counter()
    try:
        settings = make_settings(**flags)
    except SettingsError as error:
        raise CliError(str(error)) from error
    place = "PostgreSQL" if settings.store else settings.data_dir.resolve()
    out.print(f"[bold]Cumulet[/bold] opens its store in {place} ...")
    _log_to_stderr(settings)

    # Imported after the first line is out, so that the terminal answers at once.
    from cumulet.edge.server import AddressInUse, bind, serve

    try:
        listener = bind(settings.host, settings.port)
    except AddressInUse as error:
        raise CliError(
            f"{error}. Is a server running already? `cumulet status` tells; --port takes another."
        ) from error
    settings = make_settings(**{**flags, "port": listener.getsockname()[1]})

    from cumulet.app import open_app
    from cumulet.store.api import StoreError
    from cumulet.store.sqlite_file import take_lock

    def say_ready() -> None:
        tune_collector()
        remove_left_behind(settings)
        _print_banner(settings, time.perf_counter() - began)

    try:
        if settings.workers > 1:
            _run_workers(settings, listener, say_ready)
        else:
            # The folder is held by one server, whatever it keeps there: functions run in it.
            held = take_lock(settings.data_dir) if settings.store else None
            _run(serve(lambda: open_app(settings), listener, ready=say_ready))
            if held is not None:
                os.close(held)
    except StoreError as error:
        raise CliError(str(error)) from error
    finally:
        listener.close()
    err.print("Cumulet has stopped; everything that it acknowledged is kept.")
    return 0


def _run_workers(settings: Settings, listener: socket.socket, say_ready: Callable[[], None]) -> None:
    """Hold the data folder and the socket for a group of processes, until a signal ends it."""
    from cumulet.app import open_app
    from cumulet.clock import SystemClock
    from cumulet.edge.processes import ProcessGroup, Seat, WorkersFailed
    from cumulet.edge.server import serve
    from cumulet.store.api import StoreError
    from cumulet.store.sqlite import open_sqlite
    from cumulet.store.sqlite_file import hold_folder, take_lock

    if settings.store:
        held = take_lock(settings.data_dir)
    else:
        held = hold_folder(settings.data_dir, settings.durability)

    def work(seat: Seat) -> None:
        ours = replace(settings, worker=seat.number)

        def ready() -> None:
            tune_collector()
            seat.ready()

        def open_ours() -> AbstractAsyncContextManager[Any]:
            if ours.store:
                return open_app(ours)
            return open_app(ours, store=open_sqlite(ours.data_dir, ours.durability, held=held))

        try:
            _run(serve(open_ours, listener, ready=ready, seat=seat))
        except StoreError as error:
            raise WorkersFailed(str(error)) from error

    try:
        ProcessGroup(settings.workers, work, SystemClock(), say_ready).run()
    except WorkersFailed as error:
        raise CliError(str(error)) from error
    finally:
        os.close(held)


def remove_left_behind(settings: Settings) -> None:
    """Remove what processes of a larger group once kept in the data folder, which this server holds now."""
    ours = range(1, settings.workers + 1) if settings.workers > 1 else ()
    for folder in (settings.data_dir / "run").glob("worker-*"):
        if folder.name not in [f"worker-{number}" for number in ours]:
            shutil.rmtree(folder, ignore_errors=True)


def tune_collector() -> None:
    """Keep the cycle collector from walking, again and again, what lives as long as the server.

    Requests leave hardly any cycles. With Python's defaults every 700 new objects start a collection.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _run(main: Any) -> None:
    if sys.platform == "win32":
        asyncio.run(main)
        return
    import uvloop

    uvloop.run(main)


def _print_banner(settings: Settings, seconds: float) -> None:
    out.print(f"Ready at [bold]{settings.endpoint}[/bold] after {seconds:.2f} s")
    if settings.store:
        out.print(f"  data        in PostgreSQL; what runs here, in {settings.data_dir.resolve()}")
    else:
        out.print(f"  data        {settings.data_dir.resolve()} (durability: {settings.durability})")
    if settings.workers > 1:
        out.print(f"  workers     {settings.workers} processes; a hangup (kill -HUP {os.getpid()}) replaces each")
    out.print(f"  account     {settings.account}, region {settings.region}")
    if settings.strict:
        out.print(f"  strict      {_who_may_call(settings)}")
    out.print("  AWS clients:")
    out.print(f"    export AWS_ENDPOINT_URL={settings.endpoint} AWS_DEFAULT_REGION={settings.region}")
    if not settings.strict:
        out.print("    export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test")
    elsewhere = "" if settings.port == DEFAULT_PORT else f" --endpoint {settings.endpoint}"
    out.print(f"  try it:     cumulet deploy examples/notes{elsewhere}")
    out.print("Ctrl-C ends it.")
    sys.stdout.flush()


def _who_may_call(settings: Settings) -> str:
    issued = "access keys that IAM or STS issued are accepted"
    if settings.root_access_key_id:
        return f"only the root's key {settings.root_access_key_id} and {issued}"
    variables = "CUMULET_ROOT_ACCESS_KEY_ID and CUMULET_ROOT_SECRET_ACCESS_KEY"
    return f"only {issued}; to make the first, start with {variables} set"


class LineFormatter(logging.Formatter):
    """A line per record: the static message, then the fields that were logged with it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s  %(message)s%(fields)s")

    def format(self, record: logging.LogRecord) -> str:
        given = {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}
        record.fields = f" ({', '.join(f'{name}: {value}' for name, value in given.items())})" if given else ""
        return super().format(record)


_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "fields"}


def _log_to_stderr(settings: Settings) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
