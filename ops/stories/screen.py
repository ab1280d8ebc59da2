"""The screen of a story: steps, what is sent and answered, what the MSP sees, and why."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from services.usage import zone_info

ZONE = "Europe/Rome"
_ECHO_SHOWN = 6
_SENT = ("hostname", "license_key", "sequence", "resume", "changes", "deployed", "lost", "more", "echo")
_ANSWERED = ("code", "state", "reason", "sequence", "through", "echo", "lease")


class Screen:
    """Tells a story on a console, and remembers whether its promises held."""

    def __init__(self, console: Console) -> None:
        """Tell it there."""
        self._console = console
        self._steps = 0
        self.broken: list[str] = []

    def open(self, title: str, question: str) -> None:
        """Begin the story."""
        self._console.print(f"\n[bold]{escape(title)}[/bold]\n{escape(question)}\n", soft_wrap=False)

    def step(self, at: datetime, title: str) -> None:
        """Begin the next step."""
        self._steps += 1
        shown = f"{at.astimezone(zone_info(ZONE)):%d %b %H:%M}"
        self._console.print(f"[bold]{self._steps}. {escape(title)}[/bold]  [cyan]{shown}[/cyan]")

    def say(self, text: str) -> None:
        """Tell what happens."""
        self._indented(escape(text))

    def why(self, text: str) -> None:
        """Tell why it is so."""
        self._indented(f"[italic]Why:[/italic] {escape(text)}")

    def sent(self, who: str, path: str, body: Mapping[str, Any]) -> None:
        """Show a request."""
        self._indented(f"[blue]{escape(who)} ->[/blue] POST {escape(path)}  {escape(_shown(body, _SENT))}")

    def answered(self, status: int, body: Mapping[str, Any]) -> None:
        """Show an answer."""
        colour = "green" if status < 400 else "yellow"
        self._indented(f"[{colour}]service -> {status}[/{colour}]  {escape(_shown(body, _ANSWERED))}")

    def unanswered(self) -> None:
        """Show that no answer came."""
        self._indented("[red]no answer[/red]")

    def sees(self, who: str, text: str) -> None:
        """Show what somebody sees."""
        self._indented(f"[magenta]{escape(who)}:[/magenta] {escape(text)}")

    def check(self, promise: str, held: bool) -> None:
        """Check a promise, and show whether it held."""
        if held:
            self._indented(f"[green]held[/green]  {escape(promise)}")
        else:
            self.broken.append(promise)
            self._indented(f"[bold red]BROKEN[/bold red]  {escape(promise)}")

    def pause(self) -> None:
        """End a step."""
        self._console.print()

    def moral(self, text: str) -> None:
        """End the story."""
        self._console.print(f"\n[bold]{escape(text)}[/bold]\n")

    def _indented(self, text: str) -> None:
        self._console.print(Padding(text, (0, 0, 0, 3)))


def _shown(body: Mapping[str, Any], members: tuple[str, ...]) -> str:
    said = []
    for name in members:
        if body.get(name) is None or (name == "more" and not body[name]):
            continue
        said.append(f"{name} {_value(name, body[name])}")
    return ", ".join(said)


def _value(name: str, value: Any) -> str:
    if name == "echo":
        return f"...{value[-_ECHO_SHOWN:]}"
    if name == "lease":
        return "signed"
    if name == "license_key":
        return f"{value[:5]}-..."
    if name == "changes":
        numbers = [one["n"] for one in value]
        return f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    if name == "deployed":
        return "/".join(str(value[kind]) for kind in ("server", "workstation", "server_plus"))
    return value if isinstance(value, str) else json.dumps(value)
