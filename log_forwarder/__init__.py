"""The log forwarder: every line of every container once, through kills, rotations and outages."""
