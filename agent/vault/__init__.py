"""Secrets and what is promised of them: password policy, generation."""
