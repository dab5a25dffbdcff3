"""Change targets safely: typed resources, plans, transactions that confirm or undo themselves.

`contract` says what a resource type is, `registry` finds one by name, `transaction` composes
what is run on a target and reads what it answered. Nothing here reaches a target.
"""
