"""Ops that run at once, and the native programs behind them."""
