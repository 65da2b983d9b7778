"""The Hub's HTTP protocol, as its clients speak it: one module a part, each with its list of routes."""

from starlette.routing import BaseRoute

from muybridge_hub.api import account, commits, downloads, predictions, repositories, uploads, xet

ROUTES: list[BaseRoute] = [
    *downloads.ROUTES,  # first, because they are asked for most
    *account.ROUTES,
    *repositories.ROUTES,
    *commits.ROUTES,
    *uploads.ROUTES,
    *xet.ROUTES,
    *predictions.ROUTES,
]
