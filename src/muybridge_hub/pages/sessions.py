"""Signing in with a token and signing out. A session ends when its token is revoked."""

from urllib.parse import parse_qs, urlsplit

from starlette.responses import RedirectResponse, Response

from muybridge_hub.calls import SESSION_COOKIE, Call
from muybridge_hub.errors import Forbidden, HubError
from muybridge_hub.pages.site import render

SESSION_DAYS = 30


def show_login(call: Call) -> Response:
    return render(call, "login.html", next_url=check_next_url(call.query.get("next", "")), problem=None)


def login(call: Call) -> Response:
    """Signs in with a token. The browser gets a signed cookie with the token's id, not the token itself."""
    check_same_site(call)
    form = parse_qs(call.body.decode("utf-8", "replace"), max_num_fields=10)
    token, next_url = form.get("token", [""])[0].strip(), check_next_url(form.get("next", [""])[0])
    try:
        token_id = call.hub.tokens.identify(token).token_id
    except HubError:
        token_id = None
    if token_id is None:
        problem = "This hub does not know this token, or it was revoked. Tokens begin with hf_."
        return render(call, "login.html", status=403, next_url=next_url, problem=problem)
    answer = RedirectResponse(next_url, 303)
    set_cookie(call, answer, f"{token_id}.{call.hub.tokens.sign('session', token_id)}", SESSION_DAYS * 86_400)
    return answer


def logout(call: Call) -> Response:
    check_same_site(call)
    answer = RedirectResponse("/", 303)
    set_cookie(call, answer, "", 0)
    return answer


def set_cookie(call: Call, answer: Response, value: str, seconds: int) -> None:
    is_secure = call.base_url.startswith("https:")
    answer.set_cookie(SESSION_COOKIE, value, seconds, path="/", secure=is_secure, httponly=True, samesite="strict")


def check_next_url(url: str) -> str:
    """Returns the URL to go to after signing in, or "/" if it leads to another site."""
    is_same_site = url.startswith("/") and not url.startswith("//") and "\\" not in url
    return url if is_same_site and url.isascii() and url.isprintable() else "/"


def check_same_site(call: Call) -> None:
    """Refuses forms that pages of other sites send.

    Browsers name the sender in Sec-Fetch-Site, or in Origin if they trust the connection less (plain HTTP).
    """
    headers = call.request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin", "")
    hosts = {headers.get("host"), urlsplit(call.base_url).netloc}
    is_same_site = site == "same-origin" if site else origin.partition("://")[2] in hosts
    if not is_same_site:
        raise Forbidden("this form was not sent from a page of this hub; open /login and send it from there")
