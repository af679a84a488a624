"""What the page's address asks for: which actions, how many, whose account is open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlencode

from remediation.history import Filter
from remediation.model import State

_FEW, _MOST = 50, 500
# A longer one is no name; it comes back in every link of the page.
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Asked:
    """A view of the history. ``target`` is a part of the name; ``open`` the id whose account is unfolded."""

    state: str = ""
    target: str = ""
    policy: str = ""
    open: str = ""
    rows: int = _FEW

    @classmethod
    def parse(cls, query: str) -> Asked:
        """Return what a query string asks for, without what is not valid: a person gets a page."""
        given = {key: values[-1][:_LONGEST] for key, values in parse_qs(query, errors="replace").items()}
        state = given.get("state", "")
        rows = given.get("rows", "")
        return cls(
            state if state in tuple(State) else "",
            given.get("target", ""),
            given.get("policy", ""),
            given.get("open", ""),
            min(int(rows), _MOST) if rows.isdecimal() and rows.isascii() and int(rows) else _FEW,
        )

    @property
    def filter(self) -> Filter:
        """Return which actions are meant."""
        return Filter(state=self.state, policy=self.policy, like=self.target)

    @property
    def filtered(self) -> bool:
        """Tell whether it leaves anything out."""
        return bool(self.state or self.target or self.policy)

    def href(self, **changes: str | int) -> str:
        """Return the relative address of this view with some of it changed; what is as usual is left out."""
        other = replace(self, **changes)  # type: ignore[arg-type]  # the fields' own types
        pairs = {
            "state": other.state,
            "target": other.target,
            "policy": other.policy,
            "rows": other.rows if other.rows != _FEW else "",
            "open": other.open,
        }
        # Half of a surrogate pair can be typed into an address, but not encoded.
        return "?" + urlencode({key: value for key, value in pairs.items() if value}, errors="replace")

    def more(self) -> str:
        """Return the address of more of the same, empty when there cannot be more."""
        return self.href(rows=_MOST) if self.rows < _MOST else ""
