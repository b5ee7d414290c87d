"""The apps that come with bootstrapd, each behind its declaration `APP`."""
