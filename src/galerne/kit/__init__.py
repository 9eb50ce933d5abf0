"""Pure building blocks: clock, ids, money, units. Standard library only; imports nothing of ours."""
