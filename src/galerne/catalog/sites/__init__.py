"""Sites: where capacity stands, who operates it, under whose law, and what power it has."""
