"""Runs that measure and that prove: real processes, real sockets, loopback only.  See README.md."""
