"""Tests by scipy, statsmodels and scikit-posthocs; none of our own."""
