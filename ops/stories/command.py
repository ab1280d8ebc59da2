"""`tidemark story NAME`: plays a story on a fresh stack, tells it, and says whether its promises held."""

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import uvloop
from rich.console import Console

from ops.ground import lay_ground
from ops.stack import Stack, start_stack
from ops.stories import clone, ladder, november, outage, restore
from ops.stories.screen import Screen
from ops.stories.stage import Stage, opens_at, set_stage


class Story(NamedTuple):
    """What is told, and how."""

    title: str
    question: str
    moral: str
    play: Callable[[Stage], Awaitable[None]]


STORIES = {
    "clone": Story(clone.TITLE, clone.QUESTION, clone.MORAL, clone.play),
    "restore": Story(restore.TITLE, restore.QUESTION, restore.MORAL, restore.play),
    "ladder": Story(ladder.TITLE, ladder.QUESTION, ladder.MORAL, ladder.play),
    "outage": Story(outage.TITLE, outage.QUESTION, outage.MORAL, outage.play),
    "november": Story(november.TITLE, november.QUESTION, november.MORAL, november.play),
}


def play_story(name: str, console: Console) -> bool:
    """Play a story; False if a promise of it did not hold."""
    story, screen = STORIES[name], Screen(console)
    screen.open(story.title, story.question)
    with (
        tempfile.TemporaryDirectory(prefix="tidemark-story-") as folder,
        lay_ground() as ground,
        start_stack(ground, simulated_from=opens_at()) as stack,
    ):
        uvloop.run(_play(story, stack, screen, Path(folder)))
    if screen.broken:
        screen.moral(f"NOT HELD: {'; '.join(screen.broken)}")
    else:
        screen.moral(story.moral)
    return not screen.broken


async def _play(story: Story, stack: Stack, screen: Screen, folder: Path) -> None:
    async with set_stage(stack, screen, folder) as stage:
        await story.play(stage)
