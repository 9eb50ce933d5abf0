"""Who may do what: organizations, their projects, members and API keys."""
