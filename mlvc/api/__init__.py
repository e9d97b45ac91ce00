"""The verbs: gather, plan, act, return a result. None of them prints."""
