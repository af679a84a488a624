"""The ground every role's HTTP listeners stand on: addresses, TLS, users, health, the local interface."""
