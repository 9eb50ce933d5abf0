"""Price lists: what each unit of use costs, and from when. A list in force never changes."""
