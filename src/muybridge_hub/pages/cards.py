"""Cards: Markdown and HTML of anybody's, made safe, and at home on this site's pages."""

import posixpath
import re
from collections import Counter
from collections.abc import Sequence
from html import escape, unescape
from html.parser import HTMLParser
from urllib.parse import SplitResult, unquote, urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from muybridge_hub.names import RepoName
from muybridge_hub.pages.site import place

MAX_RENDERED = 100_000  # letters; more is shown as it is written: rendering takes a while, for everybody who looks

# Without those that divide a page: they would make a card look like a part of the site.
TAGS = nh3.ALLOWED_TAGS - {"area", "article", "aside", "footer", "header", "hgroup", "map", "nav"}
ALIGNED = ("caption", "div", "h1", "h2", "h3", "h4", "h5", "h6", "p", "table", "td", "th", "tr")
ATTRIBUTES = {
    **{tag: {"align"} for tag in ALIGNED},
    **{tag: {"align", "colspan", "rowspan"} for tag in ("td", "th")},
    "a": {"href"},
    "img": {"alt", "height", "src", "width"},
    "ol": {"start"},
}
VOID = frozenset({"br", "col", "hr", "img", "wbr"})
HEADING = re.compile(r"h[1-6]")

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def render_card(text: str, name: RepoName, revision: str) -> str:
    """The HTML of a card's Markdown: no scripts, styles, forms, and nothing that is fetched from elsewhere."""
    if len(text) > MAX_RENDERED:
        return f"<pre>{escape(text)}</pre>"
    tokens = MARKDOWN.parse(text)
    align_cells(tokens)
    html = MARKDOWN.renderer.render(tokens, MARKDOWN.options, {})
    safe = nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel=None,  # given below, with the addresses
    )
    writer = Writer(name, revision)
    writer.feed(safe)
    writer.close()
    return "".join(writer.pieces)


def align_cells(tokens: Sequence[Token]) -> None:
    """Columns are aligned by a style, which pages do not have; an attribute does it too."""
    for token in tokens:
        style = str(token.attrs.pop("style", ""))
        if style.startswith("text-align:"):
            token.attrs["align"] = style.removeprefix("text-align:")


class Writer(HTMLParser):
    """Writes HTML that was made safe once more: headings below the page's, anchors, addresses that lead somewhere."""

    def __init__(self, name: RepoName, revision: str) -> None:
        super().__init__(convert_charrefs=True)
        self.name, self.revision = name, revision
        self.pieces: list[str] = []
        self.anchors: Counter[str] = Counter()
        self.heading_from: int | None = None
        self.is_in_link = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "img":
            self.write_image(given)
        elif tag == "a":
            self.is_in_link = True
            self.write_tag("a", self.link(given.get("href", "")))
        elif HEADING.fullmatch(tag):
            self.heading_from = len(self.pieces)
            self.write_tag(lower(tag), given)
        else:
            self.pieces.append('<div class="scroll">' if tag == "table" else "")
            self.write_tag(tag, given)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        self.pieces.append(f"</{lower(tag) if HEADING.fullmatch(tag) else tag}>")
        if tag == "table":
            self.pieces.append("</div>")
        self.is_in_link &= tag != "a"
        if HEADING.fullmatch(tag) and self.heading_from is not None:
            self.anchor(self.heading_from)
            self.heading_from = None

    def handle_data(self, data: str) -> None:
        self.pieces.append(escape(data))

    def write_tag(self, tag: str, attributes: dict[str, str]) -> None:
        written = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
        self.pieces.append(f"<{tag}{written}>")

    def write_image(self, given: dict[str, str]) -> None:
        """A picture of the repository; one from elsewhere would tell that place who looks, so it is a link."""
        source, words = given.get("src", ""), given.get("alt", "")
        path, parts = self.path(source), split(source)
        if path:
            self.write_tag("img", {**given, "alt": words, "src": self.place("resolve", path), "loading": "lazy"})
        elif parts.scheme in ("http", "https") and not self.is_in_link:
            self.write_tag("a", self.link(source))
            self.pieces.append(f"{escape(words or 'picture')} ({escape(parts.netloc)})</a>")
        else:
            self.pieces.append(escape(words))

    def link(self, address: str) -> dict[str, str]:
        if address.startswith("#"):
            return {"href": "#card-" + slug(unquote(address))}
        if split(address).scheme in ("http", "https"):
            return {"href": address, "rel": "nofollow noopener"}
        if address.startswith("mailto:") or (address.startswith("/") and not address.startswith(("//", "/\\"))):
            return {"href": address, "rel": "nofollow"}
        path = self.path(address)
        return {"href": self.place("blob", path), "rel": "nofollow"} if path else {}

    def path(self, address: str) -> str | None:
        """The path of a file in the repository that a relative address means."""
        parts = split(address)
        path = posixpath.normpath(unquote(parts.path)) if parts.path else ""
        is_inside = path and not parts.scheme and not parts.netloc and not path.startswith(("/", "..", "\\"))
        return path if is_inside and path != "." else None

    def place(self, page: str, path: str) -> str:
        return place(self.name, page, self.revision, path)

    def anchor(self, start: int) -> None:
        """Gives the heading whose pieces begin at `start` a name that can be linked to."""
        wanted = "card-" + slug(unescape(re.sub(r"<[^>]*>", "", "".join(self.pieces[start:]))))
        name = f"{wanted}-{self.anchors[wanted]}" if wanted in self.anchors else wanted
        self.anchors[wanted] += 1
        self.pieces[start] = f'{self.pieces[start][:-1]} id="{escape(name)}">'


def split(address: str) -> SplitResult:
    """The parts of an address; none of one that is no address."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def lower(heading: str) -> str:
    """The page's own heading is the first."""
    return f"h{min(int(heading[1]) + 1, 6)}"


def slug(text: str) -> str:
    return re.sub(r"[^\w-]+", "-", text.strip("# ").lower())[:100].strip("-")
