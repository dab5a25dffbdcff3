"""What people wrote, read and checked: inventory, contract, periods, people, exceptions, playbooks."""
