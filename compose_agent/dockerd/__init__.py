"""Everything about the Docker Engine: client, events, inventory, usage.

No other package speaks to the Engine or imports the ``docker`` library.
"""
