"""Prices: volume tiers and exact amounts. Pure.

All units of a type have the price of the tier that the MSP's total of that type reached. Amounts are rounded half up, a
line at a time, to the currency's own places.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

_PLACES = {"BHD": 3, "CLP": 0, "IQD": 3, "ISK": 0, "JOD": 3, "JPY": 0, "KRW": 0, "KWD": 3, "OMR": 3, "TND": 3, "VND": 0}
ROUNDING = "half_up_per_line"


@dataclass(frozen=True, slots=True)
class Tier:
    """From so many units on, the price of each."""

    from_units: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Rates:
    """A price list in force: its currency and the tiers of each type."""

    currency: str
    tiers: Mapping[str, Sequence[Tier]]

    def unit_price(self, name: str, total: int) -> Decimal | None:
        """Give the price of a unit once the total has reached so many; None if the list has none."""
        reached = [tier for tier in self.tiers.get(name, ()) if tier.from_units <= total]
        return max(reached, key=lambda tier: tier.from_units).price if reached else None


def amount(quantity: int, unit_price: Decimal, currency: str) -> Decimal:
    """Give what a line comes to."""
    return rounded(quantity * unit_price, currency)


def rounded(value: Decimal, currency: str) -> Decimal:
    """Round half up, away from zero, to the currency's places."""
    return value.quantize(Decimal(1).scaleb(-_PLACES.get(currency, 2)), ROUND_HALF_UP)


def show_price(price: Decimal) -> str:
    """Write a unit price exactly: at least two places, no more than it has."""
    text = f"{price.normalize():f}"
    whole, _, places = text.partition(".")
    return f"{whole}.{places.ljust(2, '0')}"
