"""The ground's vocabulary: frozen values and ports, standard library only, no I/O.

Everything above speaks in these types. A word means one thing: a *target* is a
host or a database of the inventory, a *subject* is one thing on it that controls
are judged on, an *observation* is what was recorded, a *finding* what was judged.
"""
