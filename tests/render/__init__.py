"""Tests of lab/render: what is shown, column by column."""
