"""Whether a load is what breaks connections: a state machine that waits for proof before a line is given up.

A peer that closes the connection whenever it meets a certain line would be sent that line for ever. One that
restarts closes connections as well, so that each step needs more than the one before: what was on its way at
several ends in a row goes alone, then in halves, which costs nothing but time. A single line is given up only
when it alone, in turns, ended connections that it was the first on, and such on which the peer had just taken
another line. The first alone would blame it for a peer that takes nothing, the second for one that takes no
more than one parcel on each connection.
"""

from __future__ import annotations

from enum import Enum, auto

# A peer that is restarted ends a connection or two; so many in a row, at the same lines, are worth a look.
PATIENCE = 3
# Ends that a single line must cause right after the peer took another one on the same connection.
PROOFS = 3


class Step(Enum):
    """What is to be done with a load next."""

    TOGETHER = auto()  # send it, with others before and behind
    ALONE = auto()  # send it while nothing else is on its way
    COMPARE = auto()  # see first whether the peer takes another line, if there is one; then as ALONE
    DIVIDE = auto()  # have halves in its place
    BURY = auto()  # give the line up


class Trial:
    """What is known against one load; ``single`` if it is one line, ``divided`` if it is a half of one."""

    def __init__(self, *, single: bool, divided: bool) -> None:
        self._single = single
        self._suspect = divided
        self._patience = 1 if divided else PATIENCE  # each half need not be looked at for as long again
        self._proofs = 0
        self._compare = True  # whether it is the other line's turn
        self._compared = False  # whether that was taken just before

    @property
    def step(self) -> Step:
        """What is to be done next."""
        if self._patience:
            return Step.ALONE if self._suspect else Step.TOGETHER
        if not self._single:
            return Step.DIVIDE
        if self._proofs == PROOFS:
            return Step.BURY
        return Step.COMPARE if self._compare else Step.ALONE

    def ended(self) -> None:
        """Take note that the peer ended the connection at this load, before it confirmed any of it."""
        self._suspect = True
        if self._patience:
            self._patience -= 1
        elif self._compared:
            self._proofs += 1
        self._compare, self._compared = not self._compared, False

    def failed(self) -> None:
        """Take note that it was not confirmed for another reason, and begin to prove anew."""
        self._proofs = 0
        self._compare, self._compared = True, False

    def compared(self, *, taken: bool) -> None:
        """Take note of whether the peer took another line; if not, it has trouble with more than this one."""
        self._compare, self._compared = False, taken
        if not taken:
            self._proofs = 0
