"""The stories: each is played on the whole service, and fails if a promise of it does not hold."""

import io

import pytest
from rich.console import Console

from ops.stories import STORIES, play_story
from ops.stories.screen import Screen


@pytest.mark.parametrize("name", STORIES)
def test_every_promise_of_a_story_holds(name: str) -> None:
    told = io.StringIO()
    held = play_story(name, Console(file=told, width=120))
    assert held, told.getvalue()
    assert STORIES[name].moral in " ".join(told.getvalue().split())


def test_a_promise_that_does_not_hold_is_remembered() -> None:
    screen = Screen(Console(file=io.StringIO()))
    screen.check("kept", True)
    screen.check("not kept", False)
    assert screen.broken == ["not kept"]
