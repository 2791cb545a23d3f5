"""Question banks for a course's own quizzes: an item for each capture, whose blanks are an assignment's questions."""
