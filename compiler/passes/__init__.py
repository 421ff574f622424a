"""Passes: functions ``Graph -> Graph``. A pass never imports another pass."""
