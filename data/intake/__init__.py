"""Intake, from raw records to governed orders: staging, draining, row rules, quality gates, quarantine, reports."""
