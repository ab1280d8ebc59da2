"""The rooms of the console: a file of pages each. A new one is put here, and into `navigation.py`."""

from fastapi import APIRouter

from license_api.console import (
    first_page,
    issued_reports,
    key_acts,
    live,
    own_keys,
    own_sites,
    second_factor,
    signing_in,
    site_moves,
    site_page,
)

ROOMS: tuple[APIRouter, ...] = (
    first_page.router,
    signing_in.router,
    second_factor.router,
    own_sites.router,
    site_page.router,
    own_keys.router,
    key_acts.router,
    site_moves.router,
    live.router,
    issued_reports.router,
)
