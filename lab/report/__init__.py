"""What is to be said, before anybody says how it looks: steps, facts, comparisons."""
