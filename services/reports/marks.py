"""The flags of a line in words, and what each one means to who reads or pays the report. Pure."""

from collections.abc import Mapping, Sequence

from services.reports.wording import Language

FLAGS: Mapping[Language, Mapping[str, str]] = {
    "it": {
        "new": "nuovo nel mese",
        "no_data": "nessun dato",
        "estimate": "stima: ultimo valore noto",
        "moved": "cambio di MSP",
        "disabled": "disabilitata per silenzio",
        "suspended": "sospesa",
        "clone_suspected": "possibile clone",
        "clock_suspect": "orologio incerto",
        "implausible": "valori poco plausibili",
        "excused": "esonerato",
        "voided": "picco annullato",
        "short_period": "periodo inferiore a un giorno",
    },
    "en": {
        "new": "new in the month",
        "no_data": "no data",
        "estimate": "estimate: last known value",
        "moved": "change of MSP",
        "disabled": "disabled for silence",
        "suspended": "suspended",
        "clone_suspected": "clone suspected",
        "clock_suspect": "clock suspect",
        "implausible": "implausible figures",
        "excused": "excused",
        "voided": "peak voided",
        "short_period": "period under a day",
    },
}

_MEANINGS: Mapping[Language, Mapping[str, str]] = {
    "it": {
        "no_data": "del sito non si sa nulla in tutto il periodo; ciò che arriverà in tempo diventerà una correzione.",
        "estimate": "senza dati, è addebitato l'ultimo valore noto; una correzione lo sostituirà quando i dati"
        " arriveranno.",
        "moved": "il sito è passato da un MSP a un altro all'inizio o alla fine del periodo; ciascuno ha la propria"
        " parte.",
        "disabled": "la chiave è stata disabilitata per mancanza di contatto; gli agenti installati contano comunque.",
        "suspended": "la chiave è stata sospesa; gli agenti installati contano comunque.",
        "clone_suspected": "due macchine usano copie dello stesso disco. In ogni istante conta la più alta: non si"
        " sommano mai.",
        "clock_suspect": "l'orologio del sito non era attendibile; alcuni istanti sono stati corretti con l'ora del"
        " servizio.",
        "implausible": "inventario o backup superano gli agenti dichiarati, o dati andati persi più volte. Le quantità"
        " restano quelle dichiarate.",
        "excused": "un intervallo non è addebitato per decisione del distributore o del produttore, con motivo.",
        "voided": "un picco segnalato per errore è annullato; sono mostrati entrambi i valori.",
        "short_period": "periodo più breve di un giorno per cambio di fuso orario: mostrato e non addebitato.",
    },
    "en": {
        "no_data": "nothing is known of the site in the whole period; what arrives in time becomes a correction.",
        "estimate": "without data, the last known value is charged; a correction replaces it when data arrives.",
        "moved": "the site passed from one MSP to another at the start or the end of the period; each has its part.",
        "disabled": "the key was disabled for want of contact; deployed agents count all the same.",
        "suspended": "the key was suspended; deployed agents count all the same.",
        "clone_suspected": "two machines run on copies of one disk. The higher one counts at each instant; they are"
        " never added.",
        "clock_suspect": "the site's clock was not reliable; some instants were set right by the service's time.",
        "implausible": "inventory or backups exceed the agents reported, or data was lost repeatedly. Quantities stay"
        " as reported.",
        "excused": "a stretch is not charged by decision of the distributor or the vendor, with a reason.",
        "voided": "a peak reported by mistake was voided; both figures are shown.",
        "short_period": "a period shorter than a day, since the time zone changed: shown and not charged.",
    },
}


def in_words(flags: Sequence[str], language: Language) -> str:
    """Write the flags of a line."""
    return ", ".join(FLAGS[language][flag] for flag in flags)


def meanings(flags: Sequence[str], language: Language) -> list[str]:
    """Explain each flag that a report bears, once; the one that needs no explanation has none."""
    return [
        f"«{words}»: {_MEANINGS[language][flag]}" if language == "it" else f"“{words}”: {_MEANINGS[language][flag]}"
        for flag, words in FLAGS[language].items()
        if flag in flags and flag in _MEANINGS[language]
    ]
