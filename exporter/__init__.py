"""The exporter: Docker data as Prometheus metrics, and a page for people."""
