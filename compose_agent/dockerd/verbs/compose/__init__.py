"""Scaling a service of Docker Compose by what the Engine knows of it, without the Compose file.

A replica that is to be added is a *clone* of a healthy one: the same image by id, the same configuration and
labels, its own number and name. Compose finds its containers by labels alone, so it manages a clone as its
own: docs/compose-scaling.md says what was seen.
"""
