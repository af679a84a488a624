"""Everything that changes containers and services: one module for each verb, done once for each request."""
