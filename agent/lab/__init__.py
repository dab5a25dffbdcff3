"""The 23 hosts and 3 databases on one machine, real systemd and sshd in network namespaces."""
