"""The broker: in the hardened set-up the only process that holds the Engine's socket."""
