"""The exporter's families as OTLP, for users whose pipeline takes nothing else: the same values, pushed.

::

    Scraper.look ──> resources_of: conventions, points ──> requests ──> Pusher ──> collector
"""
