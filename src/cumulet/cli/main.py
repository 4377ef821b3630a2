"""The commands. Each imports what it needs when it runs, so that `cumulet up` does not pay for boto3."""

from pathlib import Path
from typing import Annotated

import typer

from cumulet import __version__

app = typer.Typer(
    name="cumulet",
    help="The serverless core of AWS on your own machine: API Gateway, Lambda, DynamoDB, IAM, CloudWatch Logs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Endpoint = Annotated[str | None, typer.Option(help="The server [default: http://localhost:4566].", show_default=False)]
Region = Annotated[str | None, typer.Option(help="The region [default: us-east-1].", show_default=False)]

DataDir = Annotated[Path | None, typer.Option(help="Where everything is kept [default: .cumulet].")]
StoreUrl = Annotated[
    str | None,
    typer.Option(help="A database for several nodes, as postgresql://user@host/name [default: a file in --data-dir]."),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cumulet {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def up(
    host: Annotated[str | None, typer.Option(help="The address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on [default: 4566; 0: any free one].")] = None,
    data_dir: DataDir = None,
    durability: Annotated[
        str | None,
        typer.Option(
            help="fsync (survives power loss), os (survives kill -9), memory (never waits for a disk) [default: fsync]"
        ),
    ] = None,
    store: StoreUrl = None,
    account: Annotated[str | None, typer.Option(help="The default account [default: 000000000000].")] = None,
    region: Annotated[str | None, typer.Option(help="The default region [default: us-east-1].")] = None,
    strict: Annotated[
        bool | None, typer.Option("--strict", help="Accept only access keys that IAM or STS issued.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="How many processes serve together [default: 1].")] = None,
) -> None:
    """Start Cumulet in the foreground; Ctrl-C ends it cleanly."""
    from cumulet.cli.up import run_server

    raise typer.Exit(
        run_server(
            host=host,
            port=port,
            data_dir=data_dir,
            durability=durability,
            store=store,
            account=account,
            region=region,
            strict=strict,
            workers=workers,
        )
    )


@app.command()
def status(endpoint: Endpoint = None, region: Region = None) -> None:
    """Show the running server, its stacks, functions and tables."""
    from cumulet.cli.client import connect
    from cumulet.cli.status import show_status

    show_status(connect(endpoint, region))


@app.command()
def down(endpoint: Endpoint = None) -> None:
    """Stop the server; what is in flight finishes first."""
    from cumulet.cli.client import connect
    from cumulet.cli.status import stop_server

    stop_server(connect(endpoint, None))


@app.command()
def doctor(
    host: Annotated[str | None, typer.Option(help="As for `cumulet up`.")] = None,
    port: Annotated[int | None, typer.Option(help="As for `cumulet up`.")] = None,
    data_dir: DataDir = None,
    store: StoreUrl = None,
) -> None:
    """Say what this machine offers: runtimes, walls around functions, port, clock, data folder."""
    from cumulet.cli.doctor import examine

    raise typer.Exit(examine(host=host, port=port, data_dir=data_dir, store=store))


@app.command()
def deploy(
    source: Annotated[Path, typer.Argument(help="A template, or the folder with a template.yaml.")] = Path(),
    stack_name: Annotated[str | None, typer.Option(help="[default: the folder's name]", show_default=False)] = None,
    parameter: Annotated[list[str] | None, typer.Option("--parameter", "-p", help="Name=Value, repeatable.")] = None,
    endpoint: Endpoint = None,
    region: Region = None,
) -> None:
    """Package a CloudFormation or SAM template, create or update its stack, and print its outputs."""
    from cumulet.cli.client import connect
    from cumulet.cli.deploy import deploy_template

    deploy_template(connect(endpoint, region), source, stack_name, parameter or [])


@app.command()
def delete(
    stack_name: Annotated[str, typer.Argument(help="The stack to delete.")],
    endpoint: Endpoint = None,
    region: Region = None,
) -> None:
    """Delete a stack and what it made."""
    from cumulet.cli.client import connect
    from cumulet.cli.deploy import delete_stack

    delete_stack(connect(endpoint, region), stack_name)


@app.command()
def invoke(
    function: Annotated[str, typer.Argument(help="A function's name, ARN, or logical id in a stack.")],
    payload: Annotated[str, typer.Argument(help="JSON, @FILE, or - for standard input.")] = "{}",
    endpoint: Endpoint = None,
    region: Region = None,
) -> None:
    """Invoke a function and print its answer; its log goes to standard error. Exit status 1 if the function failed."""
    from cumulet.cli.client import connect
    from cumulet.cli.functions import invoke_function

    raise typer.Exit(invoke_function(connect(endpoint, region), function, payload))


@app.command()
def logs(
    function: Annotated[str, typer.Argument(help="A function's name, ARN or logical id, or a log group.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    since: Annotated[str, typer.Option(help="How far back: 30s, 10m, 2h, 1d.")] = "1h",
    filter_pattern: Annotated[str, typer.Option("--filter", help="A CloudWatch Logs filter pattern.")] = "",
    endpoint: Endpoint = None,
    region: Region = None,
) -> None:
    """Print a function's log."""
    from cumulet.cli.client import connect
    from cumulet.cli.functions import print_logs

    print_logs(connect(endpoint, region), function, follow=follow, since=since, pattern=filter_pattern)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; an earlier backup there is replaced.")],
    data_dir: DataDir = None,
    store: StoreUrl = None,
) -> None:
    """Write a copy of the store to a file, as it is at one moment; servers may be using it."""
    from cumulet.cli.backup import find_place, make_backup

    make_backup(file, find_place(data_dir, store))


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `cumulet backup` wrote.")],
    data_dir: DataDir = None,
    store: StoreUrl = None,
) -> None:
    """Fill an empty store from a backup."""
    from cumulet.cli.backup import find_place, restore_backup

    restore_backup(file, find_place(data_dir, store))


@app.command()
def migrate(
    source: Annotated[
        str, typer.Option("--from", help="A data folder or a postgresql:// URL; nobody may be using it.")
    ],
    target: Annotated[str, typer.Option("--to", help="The same, of an empty store.")],
) -> None:
    """Copy a store to another place: from a file to PostgreSQL, or back."""
    from cumulet.cli.backup import migrate
    from cumulet.store.places import parse_place

    migrate(parse_place(source), parse_place(target))


def main() -> None:
    """Run the command line. Errors that a person can mend are one line on standard error, with exit status 1."""
    from cumulet.cli.console import CliError, fail

    try:
        app()
    except CliError as error:
        fail(str(error))
