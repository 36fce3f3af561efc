"""Looking at the shards of an output, with a bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digitvae.base.errors import OutputError
from digitvae.cli.progress import progress

if TYPE_CHECKING:
    from digitvae.generation.check import Output
    from digitvae.generation.executor import Executor

_MOST_TOLD = 5


def refuse_problems(
    output: Output, executor: Executor, *, again: int, only_again: bool = False, quiet: bool
) -> int:
    """Look at shards of an output, and refuse it if there is anything wrong with one.

    Args:
        output: The output.
        executor: Who looks.
        again: How many of them to make again, too, by chance.
        only_again: Look at no others.
        quiet: Show no bar.

    Returns:
        How many were made again.

    Raises:
        OutputError: Names the first that are not what they should be.
    """
    questions = [each for each in output.questions(again) if each.again or not only_again]
    wrong = []
    images = sum(question.record.count for question in questions)
    with progress("checking", images, quiet=quiet) as advance:
        for question, problem in executor.check(questions):
            if problem is not None:
                wrong.append((question.record.name, problem))
            advance(question.record.count)
    if wrong:
        wrong.sort()
        more = [f"and {len(wrong) - _MOST_TOLD:,} others"] if len(wrong) > _MOST_TOLD else []
        raise OutputError(
            f"{len(wrong):,} of {len(questions):,} shards of '{output.store}' are not what they "
            "should be. Delete what was changed, and have it and what is missing made by the "
            f"command that made them, with --resume:",
            *(f"{name}: {problem}" for name, problem in wrong[:_MOST_TOLD]),
            *more,
        )
    return sum(question.again for question in questions)
