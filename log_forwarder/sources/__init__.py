"""Where lines come from: Docker's log files, and the Engine's logs API."""
