"""The rooms of the console: a file of pages each. A new one is put here, and into `navigation.py`."""

from fastapi import APIRouter

from license_api.console import (
    account,
    distributors,
    documents,
    first_page,
    held_sweeps,
    issued_reports,
    msps,
    own_sites,
    own_tokens,
    people,
    policies,
    records,
    registrations,
    second_factor,
    signing_in,
    webhooks,
)

ROOMS: tuple[APIRouter, ...] = (
    first_page.router,
    signing_in.router,
    second_factor.router,
    own_sites.router,
    issued_reports.router,
    msps.router,
    distributors.router,
    registrations.router,
    held_sweeps.router,
    policies.router,
    documents.router,
    people.router,
    own_tokens.router,
    webhooks.router,
    records.router,
    account.router,
)
