"""The press: renders documents in processes of their own, twice, and gives only what came out the same."""

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

Forms = dict[str, bytes]


class FormsDiffer(Exception):
    """The same document gave other bytes when it was rendered again, so none of them may be issued."""


class Press:
    """Renders outside the loop. With no processes it renders in a thread, for tests and commands."""

    def __init__(self, processes: int = 0) -> None:
        """Start so many processes when the first document comes."""
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    async def render(self, render: Callable[[bytes], Forms], document: bytes) -> Forms:
        """Render a document; raises `FormsDiffer`, and whatever the rendering raises."""
        loop = asyncio.get_running_loop()
        pool = self._executor()
        try:
            one, other = await asyncio.gather(*(loop.run_in_executor(pool, render, document) for _ in range(2)))
        except BrokenProcessPool:
            self._pool = None  # a process was killed: the next document gets a new pool
            raise
        if one != other:
            raise FormsDiffer(", ".join(sorted(name for name in one if one[name] != other.get(name))))
        return one

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _executor(self) -> Executor | None:
        if self._processes and self._pool is None:
            self._pool = ProcessPoolExecutor(self._processes, mp_context=multiprocessing.get_context("spawn"))
        return self._pool
