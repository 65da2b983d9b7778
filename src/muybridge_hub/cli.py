"""The command `muybridge-hub`."""

import argparse
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tqdm import tqdm

from muybridge_hub.copying import import_folder, mirror
from muybridge_hub.database import DatabaseError, blobs, repositories
from muybridge_hub.errors import HubError
from muybridge_hub.hub import Hub
from muybridge_hub.listing import count_all
from muybridge_hub.maintenance import BACKUP_MARK, back_up, check, collect_garbage
from muybridge_hub.names import KINDS, parse_repo_name
from muybridge_hub.settings import GB, Settings
from muybridge_hub.storage import StorageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. The exit status is 0, 1 where something was found to be wrong, 2 where nothing could be done."""
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
    parser = argparse.ArgumentParser(prog="muybridge-hub", description="A hub of your own for models and data sets.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument("--root", type=Path, default=Path("hub"), help="the folder of the hub (%(default)s)")
    place.add_argument("--database", metavar="URL", help="postgresql+psycopg://USER@HOST/NAME (SQLite in the folder)")
    place.add_argument("--storage", metavar="URL", help="a folder, or s3://BUCKET/FOLDER (in the folder)")

    serve = commands.add_parser("serve", parents=[place], help="serve the hub until stopped")
    serve.add_argument("--host", default="127.0.0.1", help="where to listen; 0.0.0.0 is everywhere (%(default)s)")
    serve.add_argument("--port", type=int, default=7860, help="(%(default)s)")
    tried = "lets visitors try models on clips: 'muybridge serve-predictions --num-threads 2'"
    serve.add_argument("--inference", metavar="COMMAND", help=tried)
    serve.add_argument(
        "--public-url", type=web_address, metavar="URL", help="what clients call it, where a proxy does not tell"
    )
    serve.add_argument("--max-file-size", type=positive, default=500, metavar="GB", help="(%(default)s)")
    serve.add_argument("--quiet", action="store_true", help="do not log requests")
    serve.set_defaults(run=run_server)

    token = commands.add_parser("token", help="create, list and revoke tokens").add_subparsers(
        dest="token_command", metavar="ACTION", required=True
    )
    create = token.add_parser("create", parents=[place], help="print a new token, once")
    create.add_argument("user")
    create.add_argument("--read-only", action="store_true", help="for downloads alone")
    create.add_argument("--namespace", action="append", default=[], help="another one than the user's own; '*' is all")
    create.set_defaults(run=create_token)
    token.add_parser("list", parents=[place], help="all tokens").set_defaults(run=list_tokens)
    revoke = token.add_parser("revoke", parents=[place], help="end a token")
    revoke.add_argument("number", type=int, help="its number in the list")
    revoke.set_defaults(run=revoke_token)

    check = commands.add_parser("check", parents=[place], help="verify every reference and every file's contents")
    check.add_argument("--forget", action="store_true", help="what is damaged or lost, so that it can be sent again")
    check.set_defaults(run=run_check)
    collect = commands.add_parser("gc", parents=[place], help="remove what nothing refers to; servers may run")
    hours = "how long what was uploaded may wait for its commit; 0 only where no server runs (%(default)s)"
    collect.add_argument("--older-than", type=not_negative, default=24, metavar="HOURS", help=hours)
    collect.set_defaults(run=run_collection)
    backup = commands.add_parser("backup", parents=[place], help="copy the hub to another folder; servers may run")
    backup.add_argument(
        "target", type=Path, metavar="FOLDER", help="a root to serve from; a copy there is brought up to date"
    )
    backup.set_defaults(run=run_backup)

    copied = argparse.ArgumentParser(add_help=False, parents=[place])
    copied.add_argument("--type", choices=KINDS, default="model", help="(%(default)s)")
    mirror = commands.add_parser("mirror", parents=[copied], help="copy repositories from another hub")
    mirror.add_argument("names", nargs="+", metavar="REPO_ID")
    mirror.add_argument("--from", dest="endpoint", metavar="URL", help="the other hub (HF_ENDPOINT, or the public one)")
    mirror.add_argument("--token", help="for the other hub (HF_TOKEN)")
    mirror.add_argument("--revision", default="main", help="(%(default)s)")
    mirror.set_defaults(run=run_mirror)
    imported = commands.add_parser("import", parents=[copied], help="make a folder's files a repository's")
    imported.add_argument("folder", type=Path, metavar="FOLDER")
    imported.add_argument("name", metavar="REPO_ID")
    imported.add_argument("--private", action="store_true", help="where it is new: hide it from others")
    imported.add_argument("--message", default="", help="of the commit")
    imported.set_defaults(run=run_import)
    return parser


def positive(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return number


def not_negative(text: str) -> float:
    number = float(text)
    if not number >= 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return number


def web_address(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} is no address; it begins with http:// or https://")
    return text.rstrip("/")


def make_settings(arguments: argparse.Namespace) -> Settings:
    return Settings(root=arguments.root, database=arguments.database, storage=arguments.storage)


def open_hub(arguments: argparse.Namespace, *, is_new: bool = False) -> Hub:
    """The hub of the arguments; only what puts something into it makes a new one."""
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
    check_listening(arguments.host, arguments.port)
    app = create_app(Hub(settings))
    (settings.root / BACKUP_MARK).unlink(missing_ok=True)  # from now on it is a hub of its own
    address = settings.public_url or f"http://{arguments.host}:{arguments.port}"
    print(f"the hub is at {address}: set HF_ENDPOINT to that, and HF_TOKEN to a token", flush=True)
    serve(app, settings, arguments.host, arguments.port, log_level="warning" if arguments.quiet else "info")


def check_listening(host: str, port: int) -> None:
    """Before anything is promised: can it listen there?"""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except (OSError, OverflowError) as error:
        raise StorageError(f"nothing can listen at port {port} of {host}: {error}; choose others") from error


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
        print(f"token {arguments.number} is good for nothing any more")
        return 0
    print(f"muybridge-hub token revoke: there is no token {arguments.number} in use", file=sys.stderr)
    return 1


def run_check(arguments: argparse.Namespace) -> int:
    num_problems = 0
    hub = open_hub(arguments)
    for problem in check(hub, forget=arguments.forget):
        num_problems += 1
        tqdm.write(problem)
    with hub.database.read() as connection:
        count = f"{count_all(connection, repositories)} repositories, {count_all(connection, blobs)} files' contents"
    print(f"{count}: {num_problems} wrong" if num_problems else f"{count}: all is well", file=sys.stderr)
    return 1 if num_problems else 0


def run_collection(arguments: argparse.Namespace) -> None:
    freed = collect_garbage(open_hub(arguments), timedelta(hours=arguments.older_than))
    print(
        f"removed {freed.num_commits} commits, {freed.num_folders} folders, {freed.num_blobs} files' contents and "
        f"{freed.num_leftovers} leftovers of uploads: {freed.num_bytes / 1e6:,.1f} MB"
    )


def run_backup(arguments: argparse.Namespace) -> None:
    num_new, num_files = back_up(open_hub(arguments), arguments.target)
    print(f"{arguments.target} holds the database and {num_files} files' contents, {num_new} of them new")


def run_mirror(arguments: argparse.Namespace) -> int:
    hub, num_failed = open_hub(arguments, is_new=True), 0
    for name in [parse_repo_name(arguments.type, text) for text in arguments.names]:
        try:
            commit = mirror(hub, name, endpoint=arguments.endpoint, token=arguments.token, revision=arguments.revision)
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
