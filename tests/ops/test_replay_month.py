"""A small fleet lives through a month on the whole stack, and its peaks are those that counting gives."""

import csv
import json
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

TYPES = ("server", "workstation", "server_plus")
START, END = datetime(2024, 2, 29, 23, tzinfo=UTC), datetime(2024, 3, 31, 22, tzinfo=UTC)  # March in Rome
SITES = {"caffè": "MSP/Uno", "mare": "MSP/Uno", "x": "Due"}
DARK = ("x", START + timedelta(days=9), START + timedelta(days=14))
Life = tuple[str, str, datetime, datetime | None]


def make_lives(random: Random) -> list[Life]:
    lives: list[Life] = []
    for site in SITES:
        for _ in range(40):
            begin = START + timedelta(seconds=random.randint(-10 * 86_400, 31 * 86_400))
            length = timedelta(seconds=random.choice([0, 3_600, 86_400, 20 * 86_400]))
            lives.append((site, random.choice(TYPES), begin, begin + length if random.random() < 0.8 else None))
    return lives


def true_peaks(lives: list[Life]) -> list[list[str]]:
    """Count by hand: sweep over the lives of each site."""
    rows = []
    for site in sorted(SITES):
        deltas: dict[datetime, Counter[str]] = defaultdict(Counter)
        for name, kind, begin, end in lives:
            if name == site:
                deltas[max(begin, START)].update({kind: 1, "total": 1})
                if end is not None:
                    deltas[max(end, START)].subtract({kind: 1, "total": 1})
        now: Counter[str] = Counter()
        best = dict.fromkeys((*TYPES, "total"), (-1, START))
        deltas[START].update({})
        for at in sorted(at for at in deltas if at < END):
            now.update(deltas[at])
            for kind, (peak, _) in best.items():
                if now[kind] > peak:
                    best[kind] = (now[kind], at)
        rows += [[site, kind, str(peak), shown(at)] for kind, (peak, at) in best.items()]
    return rows


def shown(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_the_peaks_of_a_replayed_month_are_the_true_ones_and_a_dark_site_is_disabled_and_enabled(
    tmp_path: Path,
) -> None:
    lives = make_lives(Random("replay"))
    with (tmp_path / "fleet.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["msp", "site", "agent", "type", "deployed_at", "removed_at"])
        for number, (site, kind, begin, end) in enumerate(lives):
            writer.writerow([SITES[site], site, f"a{number}", kind, shown(begin), shown(end)])
    outage = f"site,from,until\n{DARK[0]},{shown(DARK[1])},{shown(DARK[2])}\n"
    (tmp_path / "outages.csv").write_text(outage, encoding="utf-8")
    out = tmp_path / "out"
    options = ["--zone", "Europe/Rome", "--from", "2024-03", "--heartbeat", "6h", "--disable-after", "2d"]
    files = [str(tmp_path / "fleet.csv"), "--outages", str(tmp_path / "outages.csv"), "--out", str(out)]
    command = [sys.executable, "-m", "ops.cli", "replay", *files, *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]

    assert rows_of(out / "peaks-2024-03.csv")[1:] == true_peaks(lives)
    timeline = [(site, event) for _, site, event in rows_of(out / "timeline.csv")[1:]]
    assert timeline == [*((site, "activated") for site in sorted(SITES)), ("x", "disabled"), ("x", "enabled")]
    report = json.loads((out / "report-2024-03-MSP_Uno.json").read_text(encoding="utf-8"))
    peaks = {(line["site"], kind): line[kind]["peak"] for line in report["lines"] for kind in (*TYPES, "total")}
    assert peaks == {(site, kind): int(peak) for site, kind, peak, _ in true_peaks(lives) if SITES[site] == "MSP/Uno"}
    assert (out / "report-2024-03-Due.csv").exists()
