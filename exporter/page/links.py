"""Addresses of the page with its view in the query string."""

from __future__ import annotations

from urllib.parse import urlencode

from compose_agent.dockerd.overview import Order, View


def href(view: View) -> str:
    """Return the relative address of a view; what is as it comes is left out."""
    given = {"sort": str(view.order), "q": view.text, "state": view.state}
    pairs = {key: value for key, value in given.items() if value and (key, value) != ("sort", str(Order()))}
    # Half of a surrogate pair can be typed into an address, but not encoded.
    return "?" + urlencode(pairs, errors="replace")
