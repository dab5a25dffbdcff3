# Behind the bastion host. Nothing planted.
