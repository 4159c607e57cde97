"""The command line: one file a noun.

Commands parse words into values, call the package that does the work, and print what it gave.  Whatever goes wrong
in a way that a person can mend arrives in `main` as a `NetbootError`; nothing else is caught.  What is printed with
`--json` is made by `shapes` and described in docs/cli.md.
"""
