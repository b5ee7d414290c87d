"""The stack of compose/: its files, and what it does on a real engine."""
