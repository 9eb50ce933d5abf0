"""A simulated fleet behind the contract of drivers: demo, example and test double in one."""
