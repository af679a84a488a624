"""Policies: which signals lead to which actions on which targets, within which limits."""
