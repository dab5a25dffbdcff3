"""The command line: one verb a file; main.py holds the parser, the one catch and the exit codes."""
