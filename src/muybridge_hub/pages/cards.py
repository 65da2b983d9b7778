"""Renders cards. Anybody may write one, so their Markdown and HTML is made safe, and fitted into the page."""

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
from muybridge_hub.pages.site import make_page_url

MAX_RENDERED = 100_000  # characters; longer cards are shown as plain text, because rendering them takes too long

# Tags that divide a page are excluded, because with them a card could look like a part of the site.
ALLOWED_TAGS = nh3.ALLOWED_TAGS - {"area", "article", "aside", "footer", "header", "hgroup", "map", "nav"}
ALIGNED_TAGS = ("caption", "div", "h1", "h2", "h3", "h4", "h5", "h6", "p", "table", "td", "th", "tr")
ALLOWED_ATTRIBUTES = {
    **{tag: {"align"} for tag in ALIGNED_TAGS},
    **{tag: {"align", "colspan", "rowspan"} for tag in ("td", "th")},
    "a": {"href"},
    "img": {"alt", "height", "src", "width"},
    "ol": {"start"},
}
VOID_TAGS = frozenset({"br", "col", "hr", "img", "wbr"})
HEADING = re.compile(r"h[1-6]")

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def render_card(text: str, name: RepoName, revision: str) -> str:
    """Renders the Markdown of a card as HTML without scripts, styles, forms and content of other sites."""
    if len(text) > MAX_RENDERED:
        return f"<pre>{escape(text)}</pre>"
    tokens = MARKDOWN.parse(text)
    align_cells(tokens)
    html = MARKDOWN.renderer.render(tokens, MARKDOWN.options, {})
    safe = nh3.clean(
        html,
        tags=ALLOWED_TAGS,
        attributes=ALLOWED_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel=None,  # `CardWriter` sets it, together with the URLs
    )
    writer = CardWriter(name, revision)
    writer.feed(safe)
    writer.close()
    return "".join(writer.pieces)


def align_cells(tokens: Sequence[Token]) -> None:
    """Aligns table cells by an attribute instead of a style, because pages allow no styles."""
    for token in tokens:
        style = str(token.attrs.pop("style", ""))
        if style.startswith("text-align:"):
            token.attrs["align"] = style.removeprefix("text-align:")


class CardWriter(HTMLParser):
    """Rewrites safe HTML: lowers the level of headings, adds anchors, and makes URLs absolute."""

    def __init__(self, name: RepoName, revision: str) -> None:
        super().__init__(convert_charrefs=True)
        self.name, self.revision = name, revision
        self.pieces: list[str] = []
        self.anchors: Counter[str] = Counter()
        self.heading_from: int | None = None
        self.is_in_link = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "img":
            self.write_image(attributes)
        elif tag == "a":
            self.is_in_link = True
            self.write_tag("a", self.make_link_attributes(attributes.get("href", "")))
        elif HEADING.fullmatch(tag):
            self.heading_from = len(self.pieces)
            self.write_tag(lower_heading(tag), attributes)
        else:
            self.pieces.append('<div class="scroll">' if tag == "table" else "")
            self.write_tag(tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID_TAGS:
            return
        self.pieces.append(f"</{lower_heading(tag) if HEADING.fullmatch(tag) else tag}>")
        if tag == "table":
            self.pieces.append("</div>")
        self.is_in_link &= tag != "a"
        if HEADING.fullmatch(tag) and self.heading_from is not None:
            self.add_anchor(self.heading_from)
            self.heading_from = None

    def handle_data(self, data: str) -> None:
        self.pieces.append(escape(data))

    def write_tag(self, tag: str, attributes: dict[str, str]) -> None:
        text = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
        self.pieces.append(f"<{tag}{text}>")

    def write_image(self, attributes: dict[str, str]) -> None:
        """Writes an image of the repository. For one from another site, writes a link.

        Showing it would tell the other site who looks at the card.
        """
        source, alternative = attributes.get("src", ""), attributes.get("alt", "")
        path, parts = self.find_repository_path(source), split_url(source)
        if path:
            url = self.make_url("resolve", path)
            self.write_tag("img", {**attributes, "alt": alternative, "src": url, "loading": "lazy"})
        elif parts.scheme in ("http", "https") and not self.is_in_link:
            self.write_tag("a", self.make_link_attributes(source))
            self.pieces.append(f"{escape(alternative or 'picture')} ({escape(parts.netloc)})</a>")
        else:
            self.pieces.append(escape(alternative))

    def make_link_attributes(self, url: str) -> dict[str, str]:
        """The attributes of a link to a URL; none if it leads nowhere."""
        if url.startswith("#"):
            return {"href": "#card-" + make_slug(unquote(url))}
        if split_url(url).scheme in ("http", "https"):
            return {"href": url, "rel": "nofollow noopener"}
        if url.startswith("mailto:") or (url.startswith("/") and not url.startswith(("//", "/\\"))):
            return {"href": url, "rel": "nofollow"}
        path = self.find_repository_path(url)
        return {"href": self.make_url("blob", path), "rel": "nofollow"} if path else {}

    def find_repository_path(self, url: str) -> str | None:
        """The path in the repository that a relative URL points to; None for other URLs."""
        parts = split_url(url)
        path = posixpath.normpath(unquote(parts.path)) if parts.path else ""
        is_inside = path and not parts.scheme and not parts.netloc and not path.startswith(("/", "..", "\\"))
        return path if is_inside and path != "." else None

    def make_url(self, page: str, path: str) -> str:
        return make_page_url(self.name, page, self.revision, path)

    def add_anchor(self, start: int) -> None:
        """Gives the heading whose pieces begin at `start` a unique id, so that links can lead to it."""
        slug = "card-" + make_slug(unescape(re.sub(r"<[^>]*>", "", "".join(self.pieces[start:]))))
        anchor = f"{slug}-{self.anchors[slug]}" if slug in self.anchors else slug
        self.anchors[slug] += 1
        self.pieces[start] = f'{self.pieces[start][:-1]} id="{escape(anchor)}">'


def split_url(url: str) -> SplitResult:
    """Splits a URL. The parts of an invalid URL are empty."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def lower_heading(heading: str) -> str:
    """The tag of a heading one level lower: the only h1 of the page is the name of the repository."""
    return f"h{min(int(heading[1]) + 1, 6)}"


def make_slug(text: str) -> str:
    return re.sub(r"[^\w-]+", "-", text.strip("# ").lower())[:100].strip("-")
