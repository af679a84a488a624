"""Actions that somebody asks for by name, rather than an alert: ``POST /v1/commands`` on the local socket.

A command becomes an intent like any other, so that the opt-in, the guard, the budgets, the journal and the
audit are the same. What differs: its policy is built in, it has a deadline, and the same id is done once.
"""
