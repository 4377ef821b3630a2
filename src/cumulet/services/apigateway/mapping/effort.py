"""What a rendering may still take: steps, of which long texts and large values take many (pure).

Templates are their owner's, but what they render comes from strangers; so whatever looks at a whole text or value says
how much that is. Outside a rendering nothing is counted, but no one value may take more than all of a rendering.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from cumulet.services.apigateway import limits


class TemplateError(Exception):
    """A template that cannot be compiled or rendered."""


class Effort:
    """The steps that are left of a rendering."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = limits.TEMPLATE_STEPS_MAX

    def spend(self, steps: int = 1) -> None:
        """Count steps. Raises TemplateError if there are no more."""
        self.left -= steps
        if self.left < 0:
            raise TemplateError("The template takes too many steps")


_current: ContextVar[Effort | None] = ContextVar("effort", default=None)


@contextmanager
def limited() -> Iterator[Effort]:
    """Bound what is done inside."""
    token = _current.set(effort := Effort())
    try:
        yield effort
    finally:
        _current.reset(token)


def spend(steps: int) -> None:
    """Count steps of the rendering that is under way. Raises TemplateError if it has no more."""
    if (effort := _current.get()) is not None:
        effort.spend(steps)


def spend_on_chars(count: int) -> None:
    """Count a look at that many characters."""
    if count >= limits.TEMPLATE_CHARS_PER_STEP:
        spend(count // limits.TEMPLATE_CHARS_PER_STEP)


def spend_on_all_of(value: object, times: int = 1) -> None:
    """Count so many looks at everything in a value; what stands in it twice counts twice.

    Raises TemplateError if that is too much, as it is for a value that contains itself.
    """
    if not isinstance(value, dict | list):
        return
    effort = _current.get() or Effort()
    seen, chars, waiting = 0, 0, [value]
    while waiting:
        item = waiting.pop()
        members = item.values() if isinstance(item, dict) else item
        seen += len(members)
        if seen > effort.left * limits.TEMPLATE_VALUES_PER_STEP:
            effort.spend(effort.left + 1)
        for member in members:
            if isinstance(member, str):
                chars += len(member)
            elif isinstance(member, dict | list):
                waiting.append(member)
    effort.spend((seen // limits.TEMPLATE_VALUES_PER_STEP + chars // limits.TEMPLATE_CHARS_PER_STEP) * times)
