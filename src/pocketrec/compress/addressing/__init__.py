"""How an id becomes addresses. One addressing per file: a value that writes its row of the lookup's program.

The columns of a program row, and what each kind does with an id, are defined in :mod:`pocketrec.native.addresses`.
"""
