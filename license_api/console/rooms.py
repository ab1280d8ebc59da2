"""The rooms of the console: a file of pages each. A new one is put here, and into `navigation.py`."""

from fastapi import APIRouter

from license_api.console import (
    first_page,
    issued_reports,
    own_sites,
    report_lines,
    second_factor,
    signing_in,
    this_month,
)

ROOMS: tuple[APIRouter, ...] = (
    first_page.router,
    signing_in.router,
    second_factor.router,
    own_sites.router,
    this_month.router,
    issued_reports.router,
    report_lines.router,
)
