"""Tells who a token belongs to, checks the front matter of cards, and refuses what this hub does not offer."""

from typing import Any

from starlette.routing import Route

from muybridge_hub.access import ALL_NAMESPACES
from muybridge_hub.calls import Call, make_endpoint
from muybridge_hub.errors import NotOffered, NotSignedIn
from muybridge_hub.facts import find_card_problems


def whoami(call: Call) -> dict[str, Any]:
    """Tells the user, the namespaces and the rights of the token."""
    viewer = call.viewer
    if viewer.name is None:
        raise NotSignedIn("this needs a token: set HF_TOKEN, or `hf auth login`")
    role = "write" if viewer.can_write else "read"
    others = sorted(viewer.namespaces - {viewer.name, ALL_NAMESPACES})
    return {
        "type": "user",
        "id": viewer.name,
        "name": viewer.name,
        "fullname": viewer.name,
        "isPro": False,
        "orgs": [{"type": "org", "name": name, "fullname": name, "roleInOrg": role} for name in others],
        "auth": {"type": "access_token", "accessToken": {"displayName": f"token {viewer.token_id}", "role": role}},
    }


def validate_card(call: Call) -> dict[str, Any]:
    """Lists the errors in the front matter of a card. Clients ask for this before they upload the card."""
    problems = find_card_problems(call.get_field("content", str, ""))
    return {"errors": [{"message": problem} for problem in problems], "warnings": []}


def refuse_unknown(call: Call) -> None:
    """Answers requests to all other URLs of the API."""
    raise NotOffered(f"this hub does not offer {call.request.method} {call.request.url.path[:200]}")


ROUTES = [
    Route("/api/whoami-v2", make_endpoint(whoami)),
    Route("/api/validate-yaml", make_endpoint(validate_card), methods=["POST"]),
]
