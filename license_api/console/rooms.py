"""The rooms of the console: a file of pages each. A new one is put here, and into `navigation.py`."""

from fastapi import APIRouter

from license_api.console import (
    adjustments,
    disputes,
    excuses,
    first_page,
    issued_reports,
    own_sites,
    price_lists,
    report_lines,
    second_factor,
    signing_in,
    statements,
    this_month,
    voids,
)

ROOMS: tuple[APIRouter, ...] = (
    first_page.router,
    signing_in.router,
    second_factor.router,
    own_sites.router,
    this_month.router,
    issued_reports.router,
    report_lines.router,
    disputes.router,
    voids.router,
    adjustments.router,
    excuses.router,
    statements.router,
    price_lists.router,
)
