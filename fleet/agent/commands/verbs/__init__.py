"""What commands can ask for, one module for each kind, in one registry (``registry.py``)."""
