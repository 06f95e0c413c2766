"""The thin client of swampd: parses a command line, asks the daemon, prints the answer."""
