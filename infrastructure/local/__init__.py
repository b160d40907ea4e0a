"""The native stack: real servers and all processes on one machine, without containers and without root."""
