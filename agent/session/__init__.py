"""Reach a target: SSH, local, SQL. The only place that imports paramiko, asyncssh and database drivers."""
