"""What a process tells of itself to its operator: lines, numbers, spans, and how it is.  Nothing of what people say."""
