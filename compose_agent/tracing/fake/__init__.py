"""A collector with faults on demand; ships with the product."""
