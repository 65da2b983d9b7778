"""The HTTP protocol of the Hugging Face Hub: one module for each part of it, each with a list of routes."""

from starlette.routing import BaseRoute

from muybridge_hub.api import account, commits, downloads, predictions, repositories, uploads, xet

ROUTES: list[BaseRoute] = [
    *downloads.ROUTES,  # first, because most requests are downloads
    *account.ROUTES,
    *repositories.ROUTES,
    *commits.ROUTES,
    *uploads.ROUTES,
    *xet.ROUTES,
    *predictions.ROUTES,
]
