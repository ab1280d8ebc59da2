"""The rooms of the console: a file of pages each. A new one is put here, and into `navigation.py`."""

from fastapi import APIRouter

from license_api.console import first_page, own_sites, signing_in

ROOMS: tuple[APIRouter, ...] = (first_page.router, signing_in.router, own_sites.router)
