"""Recording a call of a step: its arguments, its results, its effects, and the audit of what was recorded."""
