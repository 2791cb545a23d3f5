"""What thinks: who got what when, the table both ends walk, the steps that were seen. Pure: touches nothing."""
