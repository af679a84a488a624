"""Remediation: alerts and other triggers become restart and scale actions, each exactly once."""
