"""The commands, a module per subject. Each is imported when it is called, not before."""
