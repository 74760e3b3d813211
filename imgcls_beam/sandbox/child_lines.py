"""What lies between a process and one decode child: pipes, and memory that both see."""

import contextlib
import os
from typing import Any

from imgcls_beam.sandbox.shared_slot import SharedSlot

SLOTS = 2
"""Messages in one child: one that it works on, and the next one, so that it never waits."""


class ChildLines:
    """The starter's ends of the pipes, and the slots.

    Attributes:
        requests: to the child: what is asked.
        permissions: to the child: a byte for each that it has asked for.
        replies: from the child, one for each slot.
        slots: the images of each message.
        theirs: the descriptors that the child is given.
    """

    def __init__(self) -> None:
        """Opens everything.

        Raises:
            OSError: no more descriptors, or no memory; AttributeError: there is no such memory.
        """
        with contextlib.ExitStack() as opened, contextlib.ExitStack() as lent:
            self.slots = [SharedSlot() for _ in range(SLOTS)]
            for each in self.slots:
                opened.callback(each.close)
            pipes = [_open_pipe(opened, lent, is_to_child=True) for _ in range(2)]
            backs = [_open_pipe(opened, lent, is_to_child=False) for _ in range(SLOTS)]
            self.requests, self.permissions = (mine for mine, _ in pipes)
            self.replies = [mine for mine, _ in backs]
            memories = [each.descriptor for each in self.slots]
            ours = [theirs for _, theirs in pipes + backs]
            self.told: dict[str, Any] = {
                **{"requests": ours[0], "permissions": ours[1]},
                **{"replies": ours[2:], "memories": memories},
            }
            self.theirs = [*ours, *memories]
            self._lent, self._opened = lent.pop_all(), opened.pop_all()

    def let_go(self) -> None:
        """Closes the child's ends here, once it has them: so each side sees that the other ends."""
        self._lent.close()

    def close(self) -> None:
        """Closes everything; nobody may use it any more."""
        self._lent.close()
        self._opened.close()


def _open_pipe(
    opened: contextlib.ExitStack, lent: contextlib.ExitStack, *, is_to_child: bool
) -> tuple[int, int]:
    """A pipe's end for this process, and the one for the child."""
    reading, writing = os.pipe()
    mine, theirs = (writing, reading) if is_to_child else (reading, writing)
    opened.callback(os.close, mine)
    lent.callback(os.close, theirs)
    return mine, theirs
