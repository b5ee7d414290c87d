"""bootstrapd: an application's database, up and proven before the application starts."""

__version__ = "0.1.0"
