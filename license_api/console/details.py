"""What refusals say in words of their own, beside their kind's: marked here for the catalogue."""

from license_api.console.language import N_

DETAILS = (
    N_("A currency is three letters, like EUR."),
    N_("A month is written like 2026-03."),
    N_("A name belongs to run_backup and rename, and to these alone."),
    N_("A price has at most six places and is not negative."),
    N_("A token cannot have this scope."),
    N_("An endpoint is an https URL without user, password and fragment."),
    N_("The address is no password."),
    N_("The amount must be a sum of this currency, and not zero."),
    N_("The expiry is in the past."),
    N_("The ledger of this month is archived."),
    N_("The stretch must end after it begins."),
    N_("The tiers of a type begin at 0 and differ."),
    N_("There is no such zone."),
    N_("The vendor's people must have a second factor."),
    N_("There is a second factor already; remove it first."),
    N_("There is no second factor yet; set it up first."),
    N_("This MSP has been closed."),
    N_("This cannot be taken away."),
    N_("This changes nothing."),
    N_("This is not a VAT number of that country."),
    N_("This is not yours to change here."),
    N_("This is not yours to change."),
    N_("This month is not closed for this distributor."),
)
