"""What the pages for people share: frame, style, the script that keeps them live, headers that guard them.

A role's page is a folder of its own with ``templates`` and ``static``; what is not found there is taken from
here. Its templates extend ``_frame.html``; sections that change have an id and ``data-live``, and stand
without a frame in the answer to ``?fragment=1``, which ``live.js`` fetches every two seconds.
"""

from compose_agent.web.page.bars import Bar, bar
from compose_agent.web.page.pages import Pages, relative

__all__ = ["Bar", "Pages", "bar", "relative"]
