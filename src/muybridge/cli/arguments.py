"""The flags that commands share, each declared once. CONTRIBUTING.md says what each of them means."""

import argparse

Parser = argparse._ActionsContainer  # a parser, or a group of its flags


def positive(text: str) -> int:
    """The type of a flag for a number of things."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def not_negative(text: str) -> int:
    """The type of a flag for a number of things of which there may be none."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is not 0 or more")
    return number


def add_data(parser: Parser, *, split: str | None = None) -> None:
    """What names a data set, and the part of it that is taken."""
    from muybridge.data.formats import FORMATS

    formats = ", ".join(FORMATS)
    parser.add_argument("data", metavar="DATA", help=f"a path, or FORMAT:PLACE with a format of {formats}")
    default = f", where the data have any ({split})" if split else " alone (all)"
    parser.add_argument("--split", default=split, help=f"this split{default}")
    parser.add_argument("--videos", metavar="DIR", help="where the clips lie, if not beside their list")


def add_fold(parser: Parser, *, several: bool = False) -> None:
    """Which division into training and test; `several` takes more than one of them."""
    what = "which divisions of UCF101 or HMDB51 (1)" if several else "which division of UCF101 or HMDB51 (%(default)s)"
    if several:
        parser.add_argument("--fold", type=positive, nargs="+", default=[1], help=what)
    else:
        parser.add_argument("--fold", type=positive, default=1, help=what)


def add_model(parser: Parser, *, several: bool = False) -> None:
    nargs = "+" if several else None
    parser.add_argument("--model", required=True, nargs=nargs, help="a checkpoint folder or a name on the Hub")


def add_output(parser: Parser, what: str, *, metavar: str = "DIR", required: bool = False) -> None:
    parser.add_argument("--output", metavar=metavar, required=required, help=what)


def add_json(parser: Parser, what: str = "print JSON, for programs") -> None:
    parser.add_argument("--json", action="store_true", help=what)


def add_batch_size(parser: Parser, default: int) -> None:
    what = "views that go through the model at once (%(default)s)"
    parser.add_argument("--batch-size", type=positive, default=default, help=what)


def add_num_workers(parser: Parser, default: int, what: str) -> None:
    parser.add_argument("--num-workers", type=not_negative, default=default, help=f"{what} (%(default)s)")


def add_errors(parser: Parser, what: str = "file") -> None:
    parser.add_argument(
        "--errors", default="skip", help=f"raise, skip or retry(N): what an unreadable {what} does (%(default)s)"
    )


def add_fast(parser: Parser) -> None:
    parser.add_argument("--fast", action="store_true", help="fold norms, and use bfloat16 where the processor has it")
