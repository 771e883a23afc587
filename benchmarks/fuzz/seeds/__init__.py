"""Seeds that a script makes: valid files of every kind, and files made to break a reader."""
