"""The forecaster: series of observations, and what comes next."""
