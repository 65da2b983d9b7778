"""Signing in with a token, for as long as it is not revoked, and signing out."""

from urllib.parse import parse_qs, urlsplit

from starlette.responses import RedirectResponse, Response

from muybridge_hub.calls import SESSION, Call
from muybridge_hub.errors import Forbidden, HubError
from muybridge_hub.pages.site import render

DAYS = 30


def show_login(call: Call) -> Response:
    return render(call, "login.html", following=following(call.query.get("next", "")), problem=None)


def login(call: Call) -> Response:
    """Gives the browser a cookie that stands for the token; the token itself stays with its owner."""
    check_sender(call)
    form = parse_qs(call.body.decode("utf-8", "replace"), max_num_fields=10)
    token, after = form.get("token", [""])[0].strip(), following(form.get("next", [""])[0])
    try:
        token_id = call.hub.tokens.identify(token).token_id
    except HubError:
        token_id = None
    if token_id is None:
        problem = "This token is not known here, or it was revoked. Tokens begin with hf_."
        return render(call, "login.html", status=403, following=after, problem=problem)
    answer = RedirectResponse(after, 303)
    set_cookie(call, answer, f"{token_id}.{call.hub.tokens.sign('session', token_id)}", DAYS * 86_400)
    return answer


def logout(call: Call) -> Response:
    check_sender(call)
    answer = RedirectResponse("/", 303)
    set_cookie(call, answer, "", 0)
    return answer


def set_cookie(call: Call, answer: Response, value: str, seconds: int) -> None:
    is_secure = call.base_url.startswith("https:")
    answer.set_cookie(SESSION, value, seconds, path="/", secure=is_secure, httponly=True, samesite="strict")


def following(address: str) -> str:
    """Where to go on: a page of this site, whatever was asked for."""
    is_here = address.startswith("/") and not address.startswith("//") and "\\" not in address
    return address if is_here and address.isascii() and address.isprintable() else "/"


def check_sender(call: Call) -> None:
    """Refuses forms that pages of other sites send. Browsers say in one header, or on plain HTTP another, who does."""
    headers = call.request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin", "")
    hosts = {headers.get("host"), urlsplit(call.base_url).netloc}
    is_ours = site == "same-origin" if site else origin.partition("://")[2] in hosts
    if not is_ours:
        raise Forbidden("this form was not sent from a page of this hub; open /login and send it from there")
