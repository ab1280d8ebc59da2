"""Stories: what happens to a site, played on the real service with a simulated clock, and told as it happens.

Each ends with a check: if the promise that it tells of did not hold, the command fails.
"""

from ops.stories.command import STORIES, play_story

__all__ = ["STORIES", "play_story"]
