"""The command `muybridge-hub`."""

import argparse
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tqdm import tqdm

from muybridge_hub.copying import import_folder, mirror_repository
from muybridge_hub.database import DatabaseError, blobs, repositories
from muybridge_hub.errors import HubError
from muybridge_hub.hub import Hub
from muybridge_hub.listing import count_all
from muybridge_hub.maintenance import BACKUP_MARK, back_up, collect_garbage, find_problems
from muybridge_hub.names import KINDS, parse_repo_name
from muybridge_hub.settings import GB, Settings
from muybridge_hub.storage import StorageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Returns the exit status: 0, 1 if a check or part of the work failed, 2 if nothing was done."""
    parsed = make_parser().parse_args(arguments)
    try:
        return int(parsed.run(parsed) or 0)
    except (HubError, DatabaseError, StorageError, OSError, ValueError) as error:
        print(f"muybridge-hub {parsed.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"muybridge-hub {parsed.command}: stopped", file=sys.stderr)
        return 130


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="muybridge-hub", description="A self-hosted hub for models and data sets.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    location = argparse.ArgumentParser(add_help=False)
    location.add_argument("--root", type=Path, default=Path("hub"), help="the folder of the hub (%(default)s)")
    location.add_argument(
        "--database", metavar="URL", help="postgresql+psycopg://USER@HOST/NAME (default: SQLite in the folder)"
    )
    location.add_argument("--storage", metavar="URL", help="a folder, or s3://BUCKET/FOLDER (default: in the folder)")

    serve = commands.add_parser("serve", parents=[location], help="serve the hub until stopped")
    serve.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on; 0.0.0.0 means all addresses (%(default)s)"
    )
    serve.add_argument("--port", type=int, default=7860, help="(%(default)s)")
    inference_help = (
        "lets visitors try models on clips with this command: 'muybridge serve-predictions --num-threads 2'"
    )
    serve.add_argument("--inference", metavar="COMMAND", help=inference_help)
    serve.add_argument(
        "--public-url", type=web_url, metavar="URL", help="the URL that clients use, if a proxy does not pass it on"
    )
    serve.add_argument("--max-file-size", type=positive_number, default=500, metavar="GB", help="(%(default)s)")
    serve.add_argument("--quiet", action="store_true", help="do not log requests")
    serve.set_defaults(run=run_server)

    token = commands.add_parser("token", help="create, list and revoke tokens").add_subparsers(
        dest="token_command", metavar="ACTION", required=True
    )
    create = token.add_parser("create", parents=[location], help="make a token and print it; it cannot be shown again")
    create.add_argument("user")
    create.add_argument("--read-only", action="store_true", help="the token can only download")
    namespace_help = "a namespace to allow in addition to the user's own; '*' means all"
    create.add_argument("--namespace", action="append", default=[], help=namespace_help)
    create.set_defaults(run=create_token)
    token.add_parser("list", parents=[location], help="list all tokens").set_defaults(run=list_tokens)
    revoke = token.add_parser("revoke", parents=[location], help="make a token invalid")
    revoke.add_argument("number", type=int, help="its number in the list")
    revoke.set_defaults(run=revoke_token)

    check = commands.add_parser("check", parents=[location], help="verify every reference and every stored file")
    check.add_argument(
        "--forget", action="store_true", help="forget damaged and lost files, so that they can be uploaded again"
    )
    check.set_defaults(run=run_check)
    collect = commands.add_parser(
        "gc", parents=[location], help="remove what nothing refers to, also while servers run"
    )
    hours_help = "keep uploads without a commit for this long; use 0 only while no server runs (%(default)s)"
    collect.add_argument("--older-than", type=non_negative_number, default=24, metavar="HOURS", help=hours_help)
    collect.set_defaults(run=run_collection)
    backup = commands.add_parser("backup", parents=[location], help="copy the hub to a folder, also while servers run")
    backup.add_argument(
        "target", type=Path, metavar="FOLDER", help="becomes a hub's folder; an earlier backup in it is updated"
    )
    backup.set_defaults(run=run_backup)

    destination = argparse.ArgumentParser(add_help=False, parents=[location])
    destination.add_argument("--type", choices=KINDS, default="model", help="(%(default)s)")
    mirror = commands.add_parser("mirror", parents=[destination], help="copy repositories from another hub")
    mirror.add_argument("names", nargs="+", metavar="REPO_ID")
    mirror.add_argument("--from", dest="endpoint", metavar="URL", help="the other hub (HF_ENDPOINT, or the public one)")
    mirror.add_argument("--token", help="a token of the other hub (HF_TOKEN)")
    mirror.add_argument("--revision", default="main", help="(%(default)s)")
    mirror.set_defaults(run=run_mirror)
    imported = commands.add_parser("import", parents=[destination], help="make a folder the content of a repository")
    imported.add_argument("folder", type=Path, metavar="FOLDER")
    imported.add_argument("name", metavar="REPO_ID")
    imported.add_argument("--private", action="store_true", help="if the repository is new, make it private")
    imported.add_argument("--message", default="", help="the message of the commit")
    imported.set_defaults(run=run_import)
    return parser


def positive_number(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text} is not greater than 0")
    return number


def non_negative_number(text: str) -> float:
    number = float(text)
    if not number >= 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return number


def web_url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} is not a URL; it must begin with http:// or https://")
    return text.rstrip("/")


def make_settings(arguments: argparse.Namespace) -> Settings:
    return Settings(root=arguments.root, database=arguments.database, storage=arguments.storage)


def open_hub(arguments: argparse.Namespace, *, is_new: bool = False) -> Hub:
    """Opens the hub that the arguments name. Only with `is_new`, a missing hub is created."""
    settings = make_settings(arguments)
    if not (is_new or settings.database or settings.database_path.exists()):
        raise StorageError(f"there is no hub in {settings.root}; name its folder with --root")
    return Hub(settings)


def run_server(arguments: argparse.Namespace) -> None:
    from muybridge_hub.app import create_app
    from muybridge_hub.serving import serve

    settings = replace(
        make_settings(arguments),
        inference=arguments.inference,
        public_url=arguments.public_url,
        max_file_size=int(arguments.max_file_size * GB),
    )
    check_port(arguments.host, arguments.port)
    app = create_app(Hub(settings))
    (settings.root / BACKUP_MARK).unlink(missing_ok=True)  # once served, it is no longer a backup
    url = settings.public_url or f"http://{arguments.host}:{arguments.port}"
    print(f"the hub is at {url}: set HF_ENDPOINT to that, and HF_TOKEN to a token", flush=True)
    serve(app, settings, arguments.host, arguments.port, log_level="warning" if arguments.quiet else "info")


def check_port(host: str, port: int) -> None:
    """Checks that the server can listen at this port, before anything else is started."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except (OSError, OverflowError) as error:
        raise StorageError(f"the server cannot listen at port {port} of {host}: {error}; choose another") from error


def create_token(arguments: argparse.Namespace) -> None:
    namespaces = tuple(arguments.namespace)
    print(
        open_hub(arguments, is_new=True).tokens.create(
            arguments.user, can_write=not arguments.read_only, namespaces=namespaces
        )
    )


def list_tokens(arguments: argparse.Namespace) -> None:
    print(f"{'no.':>4}  {'user':20}  {'may':5}  {'where':30}  since")
    for token in open_hub(arguments).tokens.list():
        scope = "write" if token.can_write else "read"
        state = f"revoked {token.revoked_at:%Y-%m-%d}" if token.revoked_at else f"since {token.created_at:%Y-%m-%d}"
        print(f"{token.id:4}  {token.user:20}  {scope:5}  {', '.join([token.user, *token.namespaces]):30}  {state}")


def revoke_token(arguments: argparse.Namespace) -> int:
    if open_hub(arguments).tokens.revoke(arguments.number):
        print(f"token {arguments.number} is revoked")
        return 0
    print(f"muybridge-hub token revoke: there is no valid token {arguments.number}", file=sys.stderr)
    return 1


def run_check(arguments: argparse.Namespace) -> int:
    num_problems = 0
    hub = open_hub(arguments)
    for problem in find_problems(hub, forget=arguments.forget):
        num_problems += 1
        tqdm.write(problem)
    with hub.database.read() as connection:
        count = f"{count_all(connection, repositories)} repositories, {count_all(connection, blobs)} stored files"
    print(f"{count}: {num_problems or 'no'} problems", file=sys.stderr)
    return 1 if num_problems else 0


def run_collection(arguments: argparse.Namespace) -> None:
    removed = collect_garbage(open_hub(arguments), timedelta(hours=arguments.older_than))
    print(
        f"removed {removed.num_commits} commits, {removed.num_folders} folders, {removed.num_blobs} stored files and "
        f"{removed.num_leftovers} unfinished uploads: {removed.num_bytes / 1e6:,.1f} MB"
    )


def run_backup(arguments: argparse.Namespace) -> None:
    num_new, num_files = back_up(open_hub(arguments), arguments.target)
    print(f"{arguments.target} holds the database and {num_files} stored files, {num_new} of them new")


def run_mirror(arguments: argparse.Namespace) -> int:
    hub, num_failed = open_hub(arguments, is_new=True), 0
    for name in [parse_repo_name(arguments.type, text) for text in arguments.names]:
        try:
            commit = mirror_repository(
                hub, name, endpoint=arguments.endpoint, token=arguments.token, revision=arguments.revision
            )
            print(f"{name} is at {commit.oid}")
        except HubError as error:
            print(f"muybridge-hub mirror: {error}", file=sys.stderr)
            num_failed += 1
    return 1 if num_failed else 0


def run_import(arguments: argparse.Namespace) -> None:
    name = parse_repo_name(arguments.type, arguments.name)
    commit = import_folder(
        open_hub(arguments, is_new=True), arguments.folder, name, private=arguments.private, message=arguments.message
    )
    print(f"{name} is at {commit.oid}")
