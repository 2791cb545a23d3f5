"""Tests of lab/annotate: who got what when, and what follows."""
