"""The commands of the command line, one module each, with a function `run`.

Results are printed on standard output, and everything else on standard error.
"""
