"""What every door does: acquire, start, query, list, stop."""
