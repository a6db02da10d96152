"""Rows: the tables, the engines behind them, and how a statement reaches one."""
