"""Keeping what one has: archives for any database, backups of one, and a look whether all is well."""
