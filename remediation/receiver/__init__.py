"""Requests become signals: the webhook of Alertmanager, and triggers of this host."""
